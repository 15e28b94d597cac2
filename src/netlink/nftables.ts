/** nf_tables over netlink (linux/netfilter/nf_tables.h): only whether a chain is there. It needs CAP_NET_ADMIN. */
import type { Request } from './connection.ts';
import { encodeFields, type FieldTable, string } from './fields.ts';

const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_GETCHAIN = 4;
/** struct nfgenmsg: family, version, resource. */
const HEADER_BYTES = 4;
/** Its families of tables (NFPROTO_*). */
const nftFamilies = { inet: 2, inet6: 10 } as const;

const chainFields = {
  table: { number: 1, type: string },
  name: { number: 3, type: string },
} as const satisfies FieldTable;

/** Looks one chain up; the answer is ENOENT where there is none, or no such table. */
export function getChainRequest(family: 'inet' | 'inet6', table: string, name: string): Request {
  return {
    type: (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETCHAIN,
    write(writer) {
      const start = writer.reserve(HEADER_BYTES);
      writer.bytes[start] = nftFamilies[family];
      encodeFields(writer, chainFields, { table, name });
    },
  };
}
