// A deployment package in the browser: out of a zip and into one, with the modes of its files.

import { strFromU8, strToU8, unzipSync, zipSync, type Zippable } from 'fflate';

export interface PackageFile {
  bytes: Uint8Array;
  /** UNIX mode with its file type; 0 where the zip says none. */
  mode: number;
}

export type Package = Map<string, PackageFile>;

/** Largest package that is edited here, zipped; AWS's console has the same bound. */
export const EDITABLE_BYTES = 3 * 1024 * 1024;
/** Most bytes of its files. */
const UNZIPPED_BYTES = 64 * 1024 * 1024;
const PLAIN_FILE = 0o100644;

export function unpack(zip: Uint8Array): Package {
  let total = 0;
  const contents = unzipSync(zip, {
    filter: (file) => {
      total += file.originalSize;
      if (total > UNZIPPED_BYTES) throw new Error('This package is too large to be edited here.');
      return !file.name.endsWith('/');
    },
  });
  const modes = modesOf(zip);
  return new Map(
    Object.entries(contents)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, bytes]) => [name, { bytes, mode: modes.get(name) ?? 0 }]),
  );
}

export function pack(files: Package): Uint8Array {
  const entries: Zippable = {};
  for (const [name, { bytes, mode }] of files) {
    // The same files make the same package, whenever they are packed.
    entries[name] = [bytes, { os: 3, attrs: ((mode || PLAIN_FILE) << 16) >>> 0, mtime: new Date(1980, 0, 1), level: 6 }];
  }
  return zipSync(entries);
}

/** What is edited as text; `undefined` for what is not UTF-8 or has NUL bytes. */
export function textOf(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

export const bytesOf = (text: string): Uint8Array => strToU8(text);

export const newFile = (text: string): PackageFile => ({ bytes: bytesOf(text), mode: PLAIN_FILE });

export function base64(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 32_768) binary += String.fromCharCode(...bytes.subarray(at, at + 32_768));
  return btoa(binary);
}

/** Modes by name, from the zip's central directory: fflate does not tell them. */
function modesOf(zip: Uint8Array): Map<string, number> {
  const view = new DataView(zip.buffer, zip.byteOffset, zip.byteLength);
  const modes = new Map<string, number>();
  let end = zip.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) return modes;
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0 && at + 46 <= zip.length; left--) {
    if (view.getUint32(at, true) !== 0x02014b50) break;
    const [name, extra, comment] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true), view.getUint16(at + 32, true)];
    // 3: made on UNIX.
    if (zip[at + 5] === 3) modes.set(strFromU8(zip.subarray(at + 46, at + 46 + name)), view.getUint32(at + 38, true) >>> 16);
    at += 46 + name + extra + comment;
  }
  return modes;
}

export function download(name: string, bytes: Uint8Array | string, type = 'application/octet-stream'): void {
  const url = URL.createObjectURL(new Blob([bytes as BlobPart], { type }));
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
