// The phone's tables, as the API's own description has them: a new column is there at once.
'use strict'

const fs = require('fs')
const { appSchema, tableSchema } = require('@nozbe/watermelondb')
const {
  addColumns,
  createTable,
  schemaMigrations,
} = require('@nozbe/watermelondb/Schema/migrations')
const Model = require('@nozbe/watermelondb/Model').default

const SCHEMA_VERSION = 4

// What each version has added, by which the app moves on a phone that had an earlier one.
const ADDED = [
  {
    toVersion: 2,
    tables: ['handovers', 'shifts'],
    columns: {
      work_orders: ['visible_until'],
      suggestions: ['valid_until', 'show_when', 'on_site', 'reasons', 'talk_track'],
    },
  },
  {
    toVersion: 3,
    tables: [],
    columns: { suggestions: ['install_now', 'install_code', 'install_as_of'] },
  },
  {
    toVersion: 4,
    tables: [],
    columns: { work_orders: ['nothing_because'], suggestions: ['left_to'] },
  },
]

// What a phone keeps of an action for itself: its place in the queue, and what it has seen.
const OWN_COLUMNS = {
  actions: [
    { name: 'base_version', type: 'number', isOptional: true },
    { name: 'place', type: 'number', isOptional: true },
  ],
}

const typeOf = (said) =>
  said.type === 'boolean'
    ? 'boolean'
    : said.type === 'integer' || said.type === 'number'
      ? 'number'
      : 'string'

const columnOf = ([name, said]) => {
  const kinds = said.anyOf || [said]
  return {
    name,
    type: typeOf(kinds.find((kind) => kind.type !== 'null')),
    isOptional: kinds.some((kind) => kind.type === 'null'),
  }
}

// Reads the tables from `openapi.json`: { name of table: columns }.
function readTables(file) {
  const { schemas } = JSON.parse(fs.readFileSync(file, 'utf8')).components
  const named = (said) => schemas[said.$ref.split('/').pop()]
  const tables = {}
  for (const [name, said] of Object.entries(schemas.PhoneChangesOut.properties)) {
    const changes = named((said.anyOf || [said]).find((kind) => kind.$ref))
    const row = named(changes.properties.updated.items)
    tables[name] = Object.entries(row.properties)
      .filter(([column]) => column !== 'id')
      .map(columnOf)
  }
  return tables
}

function schemaOf(tables) {
  return appSchema({
    version: SCHEMA_VERSION,
    tables: Object.entries(tables).map(([name, columns]) =>
      tableSchema({ name, columns: [...columns, ...(OWN_COLUMNS[name] || [])] }),
    ),
  })
}

const modelsOf = (tables) =>
  Object.keys(tables).map(
    (name) =>
      class extends Model {
        static table = name
      },
  )

const migrationsOf = (tables) =>
  schemaMigrations({
    migrations: ADDED.map((added) => ({
      toVersion: added.toVersion,
      steps: [
        ...added.tables.map((name) => createTable({ name, columns: tables[name] })),
        ...Object.entries(added.columns).map(([table, names]) =>
          addColumns({
            table,
            columns: tables[table].filter((column) => names.includes(column.name)),
          }),
        ),
      ],
    })),
  })

module.exports = { SCHEMA_VERSION, readTables, schemaOf, modelsOf, migrationsOf }
