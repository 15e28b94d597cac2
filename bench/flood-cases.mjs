// What may be set against a flood, as cases of bench/flood.mjs.
import { totalmem } from 'node:os';

/**
 * @typedef {object} FloodCase
 * @property {string} name
 * @property {Readonly<Record<string, number>>} settings below net.ipv4.vs, in the director's network namespace
 * @property {string} [beside] a command that runs in that namespace during the case; "ipvs" is the one of dist/
 */

const PAGE_BYTES = 4096;
/** As modes of the kernel. */
const AUTOMATIC = 1;
const ALWAYS = 3;

const all = (/** @type {number} */ mode) => ({ drop_entry: mode, drop_packet: mode, secure_tcp: mode });
const tenth = Math.round(totalmem() / 10 / PAGE_BYTES);
/** Entries: fewer than drop_entry leaves of the usual flood, and more. */
const few = 80_000;
const enough = 150_000;

/** @type {readonly FloodCase[]} */
export const kernelCases = [
  { name: 'no defense', settings: {} },
  { name: 'all automatic, amemthresh 1024 pages', settings: { ...all(AUTOMATIC), amemthresh: 1024 } },
  { name: 'all automatic, amemthresh a tenth of memory', settings: { ...all(AUTOMATIC), amemthresh: tenth } },
  {
    name: 'drop_entry automatic, amemthresh a tenth of memory',
    settings: { drop_entry: AUTOMATIC, amemthresh: tenth },
  },
  { name: 'drop_packet always, 1 in 10', settings: { drop_packet: ALWAYS, am_droprate: 10 } },
  { name: 'drop_packet always, 1 in 2', settings: { drop_packet: ALWAYS, am_droprate: 2 } },
  { name: 'drop_entry always', settings: { drop_entry: ALWAYS } },
  { name: 'secure_tcp always', settings: { secure_tcp: ALWAYS } },
  { name: 'all always, 1 in 10', settings: { ...all(ALWAYS), am_droprate: 10 } },
];

/** Since Linux 7.1. */
export const limitCases = [
  { name: `conn_max ${few}`, settings: { conn_max: few } },
  { name: `conn_max ${few}, drop_entry always`, settings: { conn_max: few, drop_entry: ALWAYS } },
  { name: `conn_max ${enough}, drop_entry always`, settings: { conn_max: enough, drop_entry: ALWAYS } },
];

/** @param {string} command @returns {FloodCase} */
export const besideCase = (command) => ({ name: command, settings: {}, beside: command });
