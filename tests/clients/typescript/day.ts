/**
 * A technician's visit by the generated client, against a server that runs: sign in, pull, push
 * what was done without a network, sell, complete, pull again. Any surprise ends it with an error.
 */
import { strict as assert } from 'node:assert';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { client } from './client/client.gen.js';
import {
  authLogout, authToken, evidenceUploadContinue, evidenceUploadCreate, salesConfirm,
  salesPutTogether, syncPull, syncPush, visitsAcknowledge,
} from './client/index.js';
import type { ActionIn, PhoneOrder, Problem, PullOut } from './client/index.js';

const env = (name: string): string => process.env[name] ?? assert.fail(`${name} is not set`);
const now = (): string => new Date().toISOString();
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** A UUIDv7: what a phone makes has an id of the phone's own, so that it may be sent again. */
function newId(): string {
  const time = Date.now().toString(16).padStart(12, '0');
  const luck = randomBytes(10);
  luck[0] = (luck[0]! & 0x0f) | 0x70;
  luck[2] = (luck[2]! & 0x3f) | 0x80;
  const digits = time + luck.toString('hex');
  return [8, 12, 16, 20].reduceRight((id, at) => `${id.slice(0, at)}-${id.slice(at)}`, digits);
}

/** What an answer holds; a refusal is an error that says what was refused. */
function taken<T>(answer: { data?: T; error?: unknown; response?: Response }): NonNullable<T> {
  if (answer.data === undefined || answer.data === null) {
    throw new Error(`${answer.response?.status}: ${JSON.stringify(answer.error)}`);
  }
  return answer.data;
}

async function pulled(since?: number): Promise<PullOut> {
  return taken(await syncPull({ query: { last_pulled_at: since, coordsys: 'wgs84' } }));
}

async function pushed(actions: ActionIn[]): Promise<string[]> {
  const told = taken(await syncPush({
    body: { changes: { actions: { created: actions } } }, headers: { 'x-device-id': 'day-ts' },
  }));
  return told.verdicts.map((one) => `${one.verdict}${one.code ? ` ${one.code}` : ''}`);
}

const action = (type: string, payload: Record<string, unknown>): ActionIn =>
  ({ id: newId(), type, payload, device_at: now() });

// --- sign in -------------------------------------------------------------------------------------

client.setConfig({ baseUrl: env('YINGWEI_URL') });
const tokens = taken(await authToken({
  body: { grant_type: 'password', username: env('YINGWEI_USER'), password: env('YINGWEI_PASSWORD') },
}));
client.setConfig({ auth: () => tokens.access_token });

// --- pull: the phone's tables, typed -------------------------------------------------------------

const first = await pulled();
assert(Number.isSafeInteger(first.timestamp));
const order: PhoneOrder = first.changes.work_orders?.updated[0] ?? assert.fail('no order came');
assert.equal(order.state, 'assigned');
const offering = first.changes.offerings?.updated[0] ?? assert.fail('no offering came');

const nothing = await syncPull({
  query: { last_pulled_at: first.timestamp, coordsys: 'wgs84' },
  headers: { 'if-none-match': '"unknown"' },
});
const tag = nothing.response?.headers.get('etag') ?? assert.fail('a pull has an ETag');
const same = await syncPull({
  query: { last_pulled_at: first.timestamp, coordsys: 'wgs84' },
  headers: { 'if-none-match': tag },
});
assert.equal(same.response?.status, 304);

// --- a refusal is typed, too ---------------------------------------------------------------------

const refused = await visitsAcknowledge({
  path: { work_order_id: newId() }, body: { device_at: now() },
});
const problem: Problem = refused.error ?? assert.fail('there is no such order');
assert.equal(problem.type, 'urn:yingwei:problem:not-found');

// --- what was done without a network, in order and twice -----------------------------------------

const visit = newId();
const arriving = [
  action('visits_acknowledge', { work_order_id: order.id }),
  action('visits_set_out', { id: visit, work_order_id: order.id }),
  action('visits_check_in', {
    visit_id: visit,
    point: { lon: order.lon, lat: order.lat, coordsys: order.coordsys },
  }),
];
assert.deepEqual(await pushed(arriving), ['applied', 'applied', 'applied']);
assert.deepEqual(await pushed(arriving), ['duplicate', 'duplicate', 'duplicate']);

// --- sell: the customer signs under what they are shown ------------------------------------------

const sale = taken(await salesPutTogether({
  body: {
    id: newId(),
    visit_id: visit,
    items: [{
      offering_code: offering.code,
      seen_monthly_price_fen: offering.monthly_price_fen,
    }],
    device_at: now(),
  },
}));
const picture = readFileSync(env('YINGWEI_SIGNATURE'));
const confirmed = taken(await salesConfirm({
  path: { sale_id: sale.id },
  body: {
    consent: {
      kind: 'signature',
      given_at: now(),
      image_sha256: sha256(picture),
      stroke_sha256: sha256(Buffer.from('strokes')),
      stroke_count: 14,
      shown_sha256: sale.shown_sha256,
    },
  },
}));
assert.equal(confirmed.state, 'confirmed');

const metadata = {
  work_order_id: order.id, visit_id: visit, requirement: 'other', kind: 'signature',
  sha256: sha256(picture), filename: 'signature.png', taken_at: now(),
};
const tus = { 'Tus-Resumable': '1.0.0' };
const announced = await evidenceUploadCreate({
  headers: {
    ...tus,
    'Upload-Length': picture.length,
    'Upload-Metadata': Object.entries(metadata).map(([k, v]) => `${k} ${base64(v)}`).join(','),
  },
});
assert.equal(announced.response?.status, 201, JSON.stringify(announced.error));
const upload = announced.response.headers.get('location')?.split('/').at(-1) ?? '';
const sent = await evidenceUploadContinue({
  path: { upload_id: upload },
  headers: { ...tus, 'Upload-Offset': 0 },
  body: new Blob([new Uint8Array(picture)]),
});
assert.equal(sent.response?.headers.get('upload-offset'), String(picture.length));

// --- complete, and see it on the phone -----------------------------------------------------------

assert.deepEqual(await pushed([
  action('visits_restored', { visit_id: visit }),
  action('visits_complete', { visit_id: visit, outcome_code: 'fixed' }),
]), ['applied', 'applied']);

const last = await pulled(first.timestamp);
const row = <T extends { id: string }>(table: { updated: T[] } | null | undefined, id: string): T =>
  table?.updated.find((one) => one.id === id) ?? assert.fail(`${id} did not come`);
assert.equal(row(last.changes.work_orders, order.id).state, 'completed');
assert.equal(row(last.changes.visits, visit).outcome, 'completed');
assert.equal(row(last.changes.sales, sale.id).consent_kind, 'signature');
assert.equal(last.changes.actions?.updated.filter((one) => one.verdict === 'applied').length, 5);

await authLogout({ body: { refresh_token: tokens.refresh_token! } });
console.log(`signed in, pulled, pushed 5 actions twice or once, sold ${offering.code}, completed`);
