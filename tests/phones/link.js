// The way to the API: signing in, the two doorways as WatermelonDB asks for them, and what a phone
// does that is not to be one any more.
'use strict'

const { Q } = require('@nozbe/watermelondb')
const { synchronize } = require('@nozbe/watermelondb/sync')

// What the API takes at once.
const MOST_ROWS = 200
const MOST_BYTES = 400 * 1024
// Refusals after which nothing may stay on the phone.
const OVER = ['wipe-asked', 'access-revoked']

class Refused extends Error {
  constructor(status, told) {
    super(`${status} ${told.type}`)
    this.status = status
    this.slug = String(told.type).split(':').pop()
    this.facts = told.facts || {}
  }
}

const inOrder = (one, other) => one.place - other.place

// Cuts a push into parts that the API takes, actions first and in the order they were done. Where
// one part fails WatermelonDB holds all of it to be unsent, and what had come is a duplicate then.
function partsOf(changes) {
  const { actions, ...others } = changes
  const rows = [...actions.updated.sort(inOrder), ...actions.created.sort(inOrder)]
  const parts = []
  let part = []
  let bytes = 0
  for (const row of rows) {
    const size = Buffer.byteLength(JSON.stringify(row))
    if (part.length === MOST_ROWS || bytes + size > MOST_BYTES) {
      parts.push({ actions: { created: part, updated: [], deleted: [] } })
      part = []
      bytes = 0
    }
    part.push(row)
    bytes += size
  }
  const last = { actions: { created: part, updated: [], deleted: actions.deleted } }
  let room = MOST_ROWS - part.length
  for (const [table, { created, updated, deleted }] of Object.entries(others)) {
    const ids = [...created, ...updated].map(({ id }) => ({ id }))
    // That a row was changed is enough to be told how it stands.
    room -= ids.length + deleted.length
    if (ids.length + deleted.length && room >= 0) {
      last[table] = { created: [], updated: ids, deleted }
    }
  }
  return [...parts, last]
}

class Link {
  constructor({ database, keychain, url, username, password, device }) {
    Object.assign(this, { database, keychain, url, username, password, device })
    // The last answer that was written down, and the last that came: cursor and ETag of each.
    this.known = null
    this.told = null
    // The wipe that the answer to a push has told of.
    this.wipe = null
    this.counts = { syncs: 0, failed: 0, emptied: 0 }
  }

  async signIn() {
    const form = { grant_type: 'password', username: this.username, password: this.password }
    const answer = await fetch(`${this.url}/v1/auth/token`, {
      method: 'POST',
      body: new URLSearchParams(form).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    const told = await answer.json()
    if (!answer.ok) throw new Refused(answer.status, told)
    this.keychain.keep({ token: told.access_token })
    // So it is known which phone this is, and it can be emptied from afar.
    const device = { platform: 'node', app_version: '1.0', push: null }
    await this.ask('/v1/my/device', { method: 'PUT', body: device })
    return told.access_token
  }

  async ask(path, { method = 'GET', body, headers = {}, letIn = true } = {}) {
    let token = this.keychain.token || (await this.signIn())
    for (let tries = 0; ; tries += 1) {
      const answer = await fetch(`${this.url}${path}`, {
        method,
        body: body && JSON.stringify(body),
        headers: {
          ...(body && { 'content-type': 'application/json' }),
          authorization: `Bearer ${token}`,
          'x-device-id': this.device,
          ...headers,
        },
      })
      if (answer.status === 304) return { answer }
      const told = await answer.json()
      if (answer.ok) return { answer, told }
      if (answer.status !== 401 || tries || !letIn) {
        throw new Refused(answer.status, told)
      }
      // Nothing is shown to whoever is not let in again.
      this.keychain.keep({ token: null })
      token = await this.signIn()
    }
  }

  async pull({ lastPulledAt, schemaVersion, migration }) {
    const asked = new URLSearchParams({ schema_version: schemaVersion })
    if (lastPulledAt) asked.set('last_pulled_at', lastPulledAt)
    if (migration) asked.set('migration', JSON.stringify(migration))
    const known = lastPulledAt && this.known?.timestamp === lastPulledAt
    const headers = known ? { 'if-none-match': this.known.etag } : {}
    let read
    try {
      read = await this.ask(`/v1/sync?${asked}`, { headers })
    } catch (error) {
      if (error.status !== 410) throw error
      // What comes now takes the place of all that is here, but for what is unsent.
      const anew = await this.pull({ lastPulledAt: null, schemaVersion, migration: null })
      return { ...anew, experimentalStrategy: 'replacement' }
    }
    if (read.answer.status === 304) {
      return { changes: {}, timestamp: lastPulledAt, has_more: false }
    }
    this.told = { timestamp: read.told.timestamp, etag: read.answer.headers.get('etag') }
    return read.told
  }

  async push({ changes, lastPulledAt }) {
    for (const part of partsOf(changes)) {
      const body = { changes: part, last_pulled_at: lastPulledAt }
      const { told } = await this.ask('/v1/sync', { method: 'POST', body })
      this.wipe = told.wipe || this.wipe
    }
  }

  // Synchronizes until the API has no more to tell. Throws what stood in the way.
  async synchronize() {
    if (this.keychain.emptying) await this.empty()
    let more = true
    while (more) {
      this.counts.syncs += 1
      try {
        await synchronize({
          database: this.database,
          pullChanges: (asked) => this.pull(asked),
          pushChanges: (local) => this.push(local),
          onDidPullChanges: (rest) => {
            more = rest.has_more
            this.known = this.told
          },
          sendCreatedAsUpdated: true,
          migrationsEnabledAtVersion: 1,
        })
      } catch (error) {
        this.counts.failed += 1
        if (OVER.includes(error.slug)) await this.leave(error.facts.wipe_id)
        throw error
      }
      if (this.wipe) return this.leave(this.wipe.id)
    }
    return null
  }

  // Sends what is unsent, and empties the phone. Where nobody is reached the next pull is refused
  // alike, and it begins here again.
  async leave(wipeId = null) {
    const unsent = [Q.where('_status', Q.notEq('synced'))]
    const rows = await this.database.get('actions').query(...unsent).fetch()
    const created = rows.map((row) => ({ ...row._raw }))
    await this.push({ changes: { actions: { created, updated: [], deleted: [] } } })
    this.keychain.keep({ emptying: { wipeId } })
    await this.empty()
  }

  // Removes everything, says so where that was asked for, and forgets at last what lets it in.
  async empty() {
    await this.database.write(() => this.database.unsafeResetDatabase())
    this.known = this.told = this.wipe = null
    const { wipeId } = this.keychain.emptying
    if (wipeId && this.keychain.token) {
      const path = `/v1/my/device/wipes/${wipeId}/confirm`
      try {
        await this.ask(path, { method: 'POST', body: { unsent: 0 }, letIn: false })
      } catch (error) {
        // Nobody may wait for it any more; the phone is empty all the same.
        if (!(error.status < 500)) throw error
      }
    }
    this.keychain.keep({ token: null, emptying: null })
    this.counts.emptied += 1
  }
}

module.exports = { Link }
