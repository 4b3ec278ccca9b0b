// A deployment package in the browser: out of a zip and into one, with the modes of its files.

import { strFromU8, strToU8, unzipSync, zipSync, type Zippable } from 'fflate';

export interface PackageFile {
  bytes: Uint8Array;
  /** UNIX mode with its file type; 0 where the zip says none. */
  mode: number;
}

export type Package = Map<string, PackageFile>;

/** Largest package that is edited here, zipped, and largest text of one; AWS's console has the same bound for packages. */
export const EDITABLE_BYTES = 3 * 1024 * 1024;
/** Most bytes of its files. */
const UNZIPPED_BYTES = 64 * 1024 * 1024;
const PLAIN_FILE = 0o100644;
const FOLDER = 0o040755;

/** Its files, and its folders where they are entries of their own: names that end in a slash. */
export function unpack(zip: Uint8Array): Package {
  let total = 0;
  const contents = unzipSync(zip, {
    filter: (file) => {
      total += file.originalSize;
      if (total > UNZIPPED_BYTES) throw new Error(`Its files have more than ${UNZIPPED_BYTES / 1024 / 1024} MB.`);
      return true;
    },
  });
  const entries = directoryOf(zip);
  const names = Object.keys(contents);
  // What is not understood here would be lost by the next deployment.
  if (entries.length !== names.length) throw new Error('It has entries that are there twice, or have names that cannot be shown.');
  const modes = new Map(entries.map(({ name, mode }) => [name, mode]));
  if (names.some((name) => !modes.has(name))) throw new Error('It has names in an unknown encoding.');
  return new Map(names.sort().map((name) => [name, { bytes: contents[name] ?? new Uint8Array(), mode: modes.get(name) ?? 0 }]));
}

export function pack(files: Package): Uint8Array {
  const entries: Zippable = {};
  for (const [name, { bytes, mode }] of files) {
    // The same files make the same package, whenever they are packed.
    entries[name] = [bytes, { os: 3, attrs: ((mode || (name.endsWith('/') ? FOLDER : PLAIN_FILE)) << 16) >>> 0, mtime: new Date(1980, 0, 1), level: 6 }];
  }
  return zipSync(entries);
}

/** What is edited as text; `undefined` for what is too large, not UTF-8, or has NUL bytes. */
export function textOf(bytes: Uint8Array): string | undefined {
  if (bytes.length > EDITABLE_BYTES || bytes.includes(0)) return undefined;
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

/** Names and modes as the zip's central directory has them: fflate does not tell modes. */
function directoryOf(zip: Uint8Array): { name: string; mode: number }[] {
  const view = new DataView(zip.buffer, zip.byteOffset, zip.byteLength);
  const entries: { name: string; mode: number }[] = [];
  let end = zip.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) return entries;
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0 && at + 46 <= zip.length; left--) {
    if (view.getUint32(at, true) !== 0x02014b50) break;
    const [name, extra, comment] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true), view.getUint16(at + 32, true)];
    entries.push({
      name: strFromU8(zip.subarray(at + 46, at + 46 + name)),
      // 3: made on UNIX.
      mode: zip[at + 5] === 3 ? view.getUint32(at + 38, true) >>> 16 : 0,
    });
    at += 46 + name + extra + comment;
  }
  return entries;
}

export function download(name: string, bytes: Uint8Array | string, type = 'application/octet-stream'): void {
  const url = URL.createObjectURL(new Blob([bytes as BlobPart], { type }));
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
