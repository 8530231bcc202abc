// One phone: a process that keeps WatermelonDB's tables in a file, does what it is told by lines of
// JSON, and answers each with one. It may be killed at any moment; the file is all that it knows.
'use strict'

const readline = require('readline')
const { Database } = require('@nozbe/watermelondb')
const { setGenerator } = require('@nozbe/watermelondb/utils/common/randomId')
const SQLiteAdapter = require('@nozbe/watermelondb/adapters/sqlite').default
const { logger } = require('@nozbe/watermelondb/utils/common')
const { hasUnsyncedChanges } = require('@nozbe/watermelondb/sync')
const { Keychain } = require('./keychain')
const { Link } = require('./link')
const { Technician, uuid } = require('./technician')
const { migrationsOf, modelsOf, readTables, schemaOf } = require('./tables')

// Lines on the standard output are answers; what WatermelonDB complains of goes with them. That
// a cursor is a smaller number than before is right after a restore, whatever is said of servers.
const EXPECTED = /previous pulled-at time was greater/
const complaints = []
for (const level of ['warn', 'error']) {
  logger[level] = (...words) => {
    const said = words.map(String).join(' ')
    if (!EXPECTED.test(said)) complaints.push(said)
  }
}
logger.log = () => {}
logger.silence()

setGenerator(uuid)

const settings = JSON.parse(process.argv[2])
const tables = readTables(settings.openapi)
const adapter = new SQLiteAdapter({
  dbName: settings.file,
  schema: schemaOf(tables),
  migrations: migrationsOf(tables),
})
const database = new Database({ adapter, modelClasses: modelsOf(tables) })
const keychain = new Keychain(`${settings.file}.keychain`)
const link = new Link({ database, keychain, ...settings })
const technician = new Technician({ database, link, ...settings })

// Every table with its rows as they are kept, less what the phone keeps for itself.
async function rows() {
  const dumped = {}
  for (const [name, columns] of Object.entries(tables)) {
    const kept = await database.get(name).query().unsafeFetchRaw()
    dumped[name] = kept.map((row) =>
      Object.fromEntries(['id', ...columns.map((column) => column.name)].map((c) => [c, row[c]])),
    )
  }
  return dumped
}

const DO = {
  synchronize: async () => {
    try {
      await link.synchronize()
      return { reached: true }
    } catch (error) {
      const { status, slug = null } = error
      return { reached: false, because: String(error.cause || error), status, slug }
    }
  },
  // Whoever is not signed in sees the doorway of the app and nothing else.
  work: async ({ luck, now, steps }) =>
    keychain.token && !keychain.emptying
      ? technician.work(luck, new Date(now), steps)
      : { made: {} },
  // The token has run out.
  expire: async () => {
    keychain.keep({ token: null })
    return {}
  },
  suggestions: async () => (keychain.token ? technician.askAhead() : { reached: false }),
  rows,
  unsent: async () => ({ unsent: await hasUnsyncedChanges({ database }) }),
}

async function answer(line) {
  const { ask, ...given } = JSON.parse(line)
  try {
    const said = await DO[ask](given)
    const more = { complaints: complaints.splice(0), counts: link.counts }
    return { ...said, ...more, signed_in: Boolean(keychain.token) }
  } catch (error) {
    return { failed: String(error.stack || error), complaints: complaints.splice(0) }
  }
}

let before = Promise.resolve()
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  before = before.then(async () => process.stdout.write(`${JSON.stringify(await answer(line))}\n`))
})
