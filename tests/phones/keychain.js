// What lets a phone in, and whether it is being emptied: kept apart from its tables, as phones have
// a place of its own for it. So it is still known when all tables are gone.
'use strict'

const fs = require('fs')

class Keychain {
  constructor(file) {
    this.file = file
    this.kept = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : {}
  }

  // The access token, if somebody is signed in.
  get token() {
    return this.kept.token || null
  }

  // That everything is leaving this phone: `{ wipeId }`, which is null where an account was closed.
  get emptying() {
    return this.kept.emptying || null
  }

  keep(values) {
    this.kept = { ...this.kept, ...values }
    // Renamed, since a phone may be switched off while it writes.
    fs.writeFileSync(`${this.file}.new`, JSON.stringify(this.kept))
    fs.renameSync(`${this.file}.new`, this.file)
  }
}

module.exports = { Keychain }
