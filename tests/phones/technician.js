// What a technician does with a phone that may be offline: each step is a row of `actions`, and the
// phone shows at once what it will have led to. Steps are drawn by a given luck.
'use strict'

const { createHash, randomBytes } = require('crypto')
const fs = require('fs')
const { Q } = require('@nozbe/watermelondb')

// A UUID of version 7: its first 48 bits are milliseconds.
function uuid() {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(Date.now(), 0, 6)
  bytes[6] = (bytes[6] & 0x0f) | 0x70
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

// Numbers from 0 up to 1, always the same for one seed (mulberry32).
function drawn(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const sha256 = (text) => createHash('sha256').update(text).digest('hex')
const MOMENT = 20 // milliseconds
const UNDER_WAY = ['en_route', 'on_site']

class Technician {
  constructor({ database, link, file, colleagues, slow_seconds: slowSeconds }) {
    Object.assign(this, { database, link, file, colleagues, slowSeconds })
  }

  // Does up to so many steps at `now`; gives the actions made, by id, with their types.
  async work(luck, now, steps) {
    this.chance = drawn(luck)
    // The clock of a phone may be slow; it is never ahead, and what is done takes a moment each.
    this.at = new Date(now.getTime() - this.slowSeconds * 1000 - MOMENT * (steps + 1))
    this.made = {}
    for (let step = 0; step < steps; step += 1) await this.oneStep()
    return { made: this.made }
  }

  async askAhead() {
    try {
      await this.link.ask('/v1/my/day/suggestions', { method: 'POST' })
      return { reached: true }
    } catch (error) {
      return { reached: false, because: String(error.cause || error), status: error.status }
    }
  }

  async all(table, ...where) {
    return this.database.get(table).query(...where).fetch()
  }

  pick(choices) {
    return choices[Math.floor(this.chance() * choices.length)]
  }

  // Writes an action and what the phone shows of it, in one writing of its file.
  async act(type, payload, { order, show = {}, also = [] } = {}) {
    this.at = new Date(this.at.getTime() + MOMENT)
    const queue = this.database.get('actions')
    const [last] = await queue.query(Q.sortBy('place', Q.desc), Q.take(1)).fetch()
    await this.database.write(async () => {
      const action = queue.prepareCreate((row) => {
        Object.assign(row._raw, {
          type,
          own: true,
          payload: JSON.stringify(payload),
          base_version: order ? order._raw.version : null,
          device_at: this.at.toISOString(),
          place: (last ? last._raw.place || 0 : 0) + 1,
        })
      })
      const shown = Object.keys(show).length ? [changed(order, show)] : []
      await this.database.batch([action, ...shown, ...also])
      this.made[action.id] = type
    })
  }

  async oneStep() {
    const drawn = this.chance()
    if (drawn < 0.06) return this.setCustomer()
    if (drawn < 0.09) return this.takeBack()
    const held = (await this.all('work_orders')).filter((order) => !order._raw.assisting)
    const of = (state) => held.filter((order) => order._raw.state === state)
    const underWay = held.filter((order) => UNDER_WAY.includes(order._raw.state))
    const [assigned, acknowledged, suspended] = ['assigned', 'acknowledged', 'suspended'].map(of)
    if (assigned.length && (this.chance() < 0.4 || !underWay.length)) {
      return this.answer(this.pick(assigned))
    }
    if (underWay.length) {
      const order = this.pick(underWay)
      return order._raw.state === 'en_route' ? this.arrive(order) : this.atTheDoor(order)
    }
    if (suspended.length) return this.goOn(this.pick(suspended))
    if (acknowledged.length) return this.setOut(this.pick(acknowledged))
    return null
  }

  answer(order) {
    const named = { work_order_id: order.id }
    const drawn = this.chance()
    if (drawn < 0.05) {
      const show = { state: 'located' }
      return this.act('visits_decline', { ...named, cause: 'no_time' }, { order, show })
    }
    if (drawn < 0.1) return this.passOn(order)
    return this.act('visits_acknowledge', named, { order, show: { state: 'acknowledged' } })
  }

  passOn(order) {
    const payload = { work_order_id: order.id, to: this.pick(this.colleagues), cause: 'nearer' }
    return this.act('visits_transfer', payload, { order, show: { state: 'located' } })
  }

  setOut(order) {
    if (this.chance() < 0.04) {
      const payload = { work_order_id: order.id, cause: 'wrong_area' }
      return this.act('visits_hand_back_order', payload, { order, show: { state: 'located' } })
    }
    const visitId = uuid()
    const visit = this.database.get('visits').prepareCreate((row) => {
      row._raw.id = visitId
      Object.assign(row._raw, { work_order_id: order.id, travel_started_at: this.at.toISOString() })
    })
    const payload = { id: visitId, work_order_id: order.id }
    const show = { state: 'en_route', visit_id: visitId }
    return this.act('visits_set_out', payload, { order, show, also: [visit] })
  }

  async visitOf(order) {
    const [visit] = await this.all('visits', Q.where('id', order._raw.visit_id || ''))
    return visit
  }

  async arrive(order) {
    const visit = { visit_id: order._raw.visit_id }
    if (this.chance() < 0.05) {
      const payload = { ...visit, cause: 'customer_absent' }
      return this.act('visits_hand_back', payload, { order, show: { state: 'located' } })
    }
    const { lon, lat, coordsys } = order._raw
    const payload = { ...visit, point: { lon, lat, coordsys }, far_reason: 'address_point_wrong' }
    return this.act('visits_check_in', payload, { order, show: { state: 'on_site' } })
  }

  goOn(order) {
    const payload = { visit_id: order._raw.visit_id }
    return this.act('visits_resume', payload, { order, show: { state: 'on_site' } })
  }

  async atTheDoor(order) {
    const drawn = this.chance()
    if (drawn < 0.2) return this.note(order)
    if (drawn < 0.34) return this.answerSuggestion(order)
    if (drawn < 0.56) return this.sell(order)
    if (drawn < 0.62) return this.picture(order)
    if (drawn < 0.68) return this.fit(order)
    const visit = { visit_id: order._raw.visit_id }
    if (drawn < 0.71) {
      const resumeAt = new Date(this.at.getTime() + 1800_000).toISOString()
      const payload = { ...visit, cause: 'material_fetched', resume_at: resumeAt }
      return this.act('visits_suspend', payload, { order, show: { state: 'suspended' } })
    }
    if (drawn < 0.73) {
      const payload = { ...visit, cause: 'site_not_ready' }
      return this.act('visits_hand_back', payload, { order, show: { state: 'located' } })
    }
    if (!order._raw.restored_at) {
      const show = { restored_at: this.at.toISOString() }
      return this.act('visits_restored', visit, { order, show })
    }
    const payload = { ...visit, outcome_code: 'fixed' }
    return this.act('visits_complete', payload, { order, show: { state: 'completed' } })
  }

  async note(order) {
    // An app that cuts what is typed at so many characters may leave half an emoji, which is refused.
    const end = this.chance() < 0.1 ? '👍'.slice(0, 1) : ''
    const note = `${this.pick(['换了光猫', '整理了线路', '重做了接头'])} ${uuid()}${end}`
    const visit = await this.visitOf(order)
    const also = visit ? [changed(visit, { note })] : []
    const payload = { visit_id: order._raw.visit_id, checked: [], note }
    return this.act('visits_keep_progress', payload, { order, also })
  }

  async answerSuggestion(order) {
    const offered = await this.all('suggestions', Q.where('work_order_id', order.id))
    if (!offered.length) return this.note(order)
    const one = this.pick(offered)
    const answer = this.pick(['accepted', 'declined', 'not_pitched'])
    const payload = { suggestion_id: one.id, id: uuid(), answer }
    if (answer === 'declined') payload.reason = this.pick(['price', 'no_need'])
    return this.act('suggestions_answer', payload, { order, also: [changed(one, { answer })] })
  }

  // Puts a sale together, lets the customer sign under it, or gives it up.
  async sell(order) {
    const { visit_id: visitId, customer_id: customerId } = order._raw
    const sales = await this.all('sales', Q.where('visit_id', visitId || ''))
    const open = sales.find((sale) => sale._raw.state === 'draft')
    const offerings = await this.all('offerings')
    if (!open) {
      const sold = this.pick(offerings)
      const saleId = uuid()
      const items = [{ offering_code: sold._raw.code, quantity: 1 + Math.floor(this.chance() * 2) }]
      const sale = this.database.get('sales').prepareCreate((row) => {
        row._raw.id = saleId
        Object.assign(row._raw, {
          visit_id: visitId,
          work_order_id: order.id,
          state: 'draft',
          items: JSON.stringify(items),
        })
      })
      const payload = { id: saleId, visit_id: visitId, items }
      return this.act('sales_put_together', payload, { order, also: [sale] })
    }
    if (this.chance() < 0.2) {
      const also = [changed(open, { state: 'cancelled' })]
      return this.act('sales_cancel', { sale_id: open.id }, { order, also })
    }
    const lines = JSON.parse(open._raw.items).map(({ offering_code: code, quantity }) => {
      const sold = offerings.find((offering) => offering._raw.code === code)._raw
      const prices = `${sold.monthly_price_fen} ${sold.one_off_price_fen} ${sold.contract_months}`
      return `item ${code} ${quantity} ${prices}\n`
    })
    const shown = `yingwei consent 1\nsale ${open.id}\ncustomer ${customerId}\n${lines.join('')}`
    const consent = {
      kind: 'signature',
      given_at: this.at.toISOString(),
      image_sha256: sha256(`image ${open.id}`),
      stroke_sha256: sha256(`stroke ${open.id}`),
      stroke_count: 14,
      shown_sha256: sha256(shown),
    }
    const also = [changed(open, { state: 'confirmed' })]
    return this.act('sales_confirm', { sale_id: open.id, consent }, { order, also })
  }

  picture(order) {
    const told = {
      id: uuid(),
      work_order_id: order.id,
      visit_id: order._raw.visit_id,
      requirement: 'other',
      kind: 'photo',
      sha256: sha256(uuid()),
    }
    const metadata = Object.entries(told)
      .filter(([, value]) => value !== null)
      .map(([name, value]) => `${name} ${Buffer.from(String(value)).toString('base64')}`)
      .join(',')
    return this.act('evidence_upload_create', { length: 1234, metadata }, { order })
  }

  async fit(order) {
    const van = await this.all('terminals', Q.where('pool', 'van'))
    if (!van.length) return this.note(order)
    const one = this.pick(van)
    const payload = {
      visit_id: order._raw.visit_id,
      id: uuid(),
      action: 'fitted',
      serial_number: one._raw.serial_number,
    }
    const also = [changed(one, { pool: 'customer' })]
    return this.act('visits_terminals_scan', payload, { order, also })
  }

  async setCustomer() {
    const known = await this.all('customers')
    if (!known.length) return
    const customer = this.pick(known)
    // At the door nobody lifts do-not-disturb.
    const [type, column, on] = this.pick([
      ['customers_personal_offers', 'personal_offers', this.chance() < 0.5],
      ['customers_do_not_disturb', 'do_not_disturb', true],
    ])
    const also = [changed(customer, { [column]: on })]
    await this.act(type, { customer_id: customer.id, on }, { also })
  }

  // Takes back a note that is not sent yet. Where it had come and only the answer was lost, it was
  // done, and the phone is told so.
  async takeBack() {
    const notes = [Q.where('type', 'visits_keep_progress'), Q.where('_status', 'created')]
    const [unsent] = await this.all('actions', ...notes)
    if (!unsent) return
    // Written down first, for whoever reckons: the phone may be switched off before it says so.
    fs.appendFileSync(`${this.file}.undone`, `${unsent.id}\n`)
    await this.database.write(() => unsent.markAsDeleted())
  }
}

const changed = (row, values) =>
  row.prepareUpdate(() => {
    for (const [column, value] of Object.entries(values)) row._setRaw(column, value)
  })

module.exports = { Technician, uuid }
