// The package of one function as it is edited: what is deployed, what was changed, and bringing it there.

import { useCallback, useEffect, useMemo, useRef, useState } from 'react';

import { type Configuration, getConfiguration, getFunction, settled, updateCode } from '../client/lambda';
import { Refusal, said, Unreachable } from '../client/request';
import { useNotices } from '../notices';
import { base64, bytesOf, EDITABLE_BYTES, newFile, pack, type Package, textOf, unpack } from '../package/archive';
import { type Draft, keepDraft, takeDraft } from '../package/draft';
import { bytes } from '../parts/numbers';

export interface Code {
  /** What is deployed; `undefined` while it is read, or where it cannot be edited here. */
  files: Package | undefined;
  /** Why it cannot. */
  locked: string | undefined;
  /** The directory of this machine that is the code, where there is no package. */
  directory: string | undefined;
  error: unknown;
  /** Deployed and new files. */
  names: string[];
  changed: Set<string>;
  deleted: Set<string>;
  conflict: boolean;
  deploying: boolean;
  /** The draft is in the browser's storage. */
  kept: boolean;
  /** New whenever texts changed by something else than typing. */
  turn: number;
  text: (name: string) => string | undefined;
  edit: (name: string, text: string) => void;
  remove: (name: string) => void;
  discard: () => void;
  reload: () => void;
  deploy: (over?: boolean) => Promise<void>;
  upload: (file: File) => Promise<void>;
  zip: () => Promise<Uint8Array>;
}

interface Deployed {
  sha: string;
  files?: Package;
  locked?: string;
  directory?: string;
}

const FILE = 'file://';

async function fetchDeployed(name: string): Promise<{ configuration: Configuration; deployed: Deployed }> {
  const { Configuration: configuration, Code: { Location: location } } = await getFunction(name);
  const { CodeSha256: sha, CodeSize: size } = configuration;
  if (location.startsWith(FILE)) return { configuration, deployed: { sha, directory: location.slice(FILE.length) } };
  if (size > EDITABLE_BYTES) {
    return { configuration, deployed: { sha, locked: `It has ${bytes(size)}; packages of up to ${bytes(EDITABLE_BYTES)} are edited here.` } };
  }
  const zip = await fetchZip(location);
  try {
    return { configuration, deployed: { sha, files: unpack(zip) } };
  } catch (problem) {
    return { configuration, deployed: { sha, locked: said(problem) } };
  }
}

async function fetchZip(location: string): Promise<Uint8Array> {
  // The link is of this origin, whatever name the browser used.
  const { pathname, search } = new URL(location);
  let response: Response;
  try {
    response = await fetch(pathname + search);
  } catch {
    throw new Unreachable();
  }
  if (!response.ok) throw new Error(`The package cannot be read (${response.status}).`);
  return new Uint8Array(await response.arrayBuffer());
}

/** As AWS has it, in Base64; nothing where the page is no secure context. */
async function digestOf(zip: Uint8Array): Promise<string | undefined> {
  if (globalThis.crypto?.subtle === undefined) return undefined;
  return base64(new Uint8Array(await crypto.subtle.digest('SHA-256', zip as BufferSource)));
}

export function useCode(name: string, changedConfiguration: (configuration: Configuration) => void): Code {
  const notices = useNotices();
  const [base, setBase] = useState<Deployed>();
  const [draft, setDraft] = useState<Draft['files']>({});
  /** The package that the draft began from. */
  const [began, setBegan] = useState('');
  const [error, setError] = useState<unknown>();
  const [conflict, setConflict] = useState(false);
  const [deploying, setDeploying] = useState(false);
  const [kept, setKept] = useState(true);
  const [turn, setTurn] = useState(0);
  const told = useRef(changedConfiguration);
  told.current = changedConfiguration;
  const latest = useRef(draft);
  latest.current = draft;

  /** Reads what is deployed, and with it a draft: by default the one that is kept. Editors of the same texts go on. */
  const load = useCallback(
    async (draftFor?: (deployed: Deployed) => Draft['files'], sameTexts = false) => {
      try {
        const [{ configuration, deployed }, taken] = await Promise.all([fetchDeployed(name), draftFor ? undefined : takeDraft(name)]);
        const files = draftFor?.(deployed) ?? taken?.files ?? {};
        const sha = taken?.codeSha256 ?? deployed.sha;
        if (draftFor) keepDraft(name, { codeSha256: sha, files });
        setBase(deployed);
        setDraft(files);
        setBegan(sha);
        setConflict(sha !== deployed.sha);
        setError(undefined);
        if (!sameTexts) setTurn((now) => now + 1);
        told.current(configuration);
      } catch (problem) {
        setError(problem);
      }
    },
    [name],
  );
  useEffect(() => void load(), [load]);

  const change = (next: Draft['files']) => {
    setDraft(next);
    setKept(keepDraft(name, { codeSha256: began, files: next }));
  };

  const deployed = (file: string) => {
    const found = base?.files?.get(file);
    return found && textOf(found.bytes);
  };
  const text = (file: string) => {
    const drafted = Object.hasOwn(draft, file) ? draft[file] : undefined;
    if (drafted === null) return undefined;
    return drafted ?? deployed(file);
  };
  const edit = (file: string, next: string) => {
    const { [file]: _, ...others } = draft;
    change(deployed(file) === next ? others : { ...others, [file]: next });
  };
  const remove = (file: string) => {
    const { [file]: _, ...others } = draft;
    change(base?.files?.has(file) ? { ...others, [file]: null } : others);
  };

  const edited = (): Package => {
    const files: Package = new Map(base?.files);
    for (const [file, next] of Object.entries(draft)) {
      if (next === null) files.delete(file);
      else files.set(file, { ...(files.get(file) ?? newFile('')), bytes: bytesOf(next) });
    }
    return files;
  };

  /** Sends a package that began from `base`; false where another one is deployed meanwhile. */
  const send = async (zip: Uint8Array, over: boolean): Promise<boolean> => {
    const now = await getConfiguration(name);
    // Sent before, by an attempt whose answer was lost.
    if (now.CodeSha256 === (await digestOf(zip))) return true;
    // Another revision of the same code is a change of the configuration: nothing of it is overwritten here.
    if (!over && (now.CodeSha256 !== base?.sha || conflict)) return false;
    try {
      await updateCode(name, base64(zip), now.RevisionId);
    } catch (problem) {
      if (problem instanceof Refusal && problem.status === 412) return false;
      throw problem;
    }
    return true;
  };

  const bring = async (zip: Uint8Array, over: boolean, sameTexts: boolean) => {
    const sent = draft;
    setDeploying(true);
    try {
      if (await send(zip, over)) {
        const configuration = await settled(name);
        // What was typed while it was sent is a change of what is deployed now.
        await load(() => {
          const since: Draft['files'] = {};
          for (const [file, text] of Object.entries(latest.current)) if (!Object.hasOwn(sent, file) || sent[file] !== text) since[file] = text;
          for (const file of Object.keys(sent)) if (!Object.hasOwn(latest.current, file)) since[file] = deployed(file) ?? null;
          return since;
        }, sameTexts);
        if (configuration.LastUpdateStatus === 'Failed') throw new Error(configuration.LastUpdateStatusReason);
        notices.done(`Deployed ${name}.`);
      } else {
        setConflict(true);
      }
    } catch (problem) {
      notices.failed('Not deployed', problem);
    } finally {
      setDeploying(false);
    }
  };

  const { changed, deleted, names } = useMemo(() => {
    const entries = Object.entries(draft);
    return {
      changed: new Set(entries.filter(([, next]) => next !== null).map(([file]) => file)),
      deleted: new Set(entries.filter(([, next]) => next === null).map(([file]) => file)),
      names: [...new Set([...(base?.files?.keys() ?? []), ...entries.map(([file]) => file)])].filter((file) => !file.endsWith('/')).sort(),
    };
  }, [draft, base]);

  return {
    files: base?.files,
    locked: base?.locked,
    directory: base?.directory,
    error, names, changed, deleted, conflict, deploying, kept, turn, text, edit, remove,
    discard: () => void load(() => ({})),
    reload: () => void load(),
    deploy: (over = false) => bring(pack(edited()), over, true),
    upload: async (file) => bring(new Uint8Array(await file.arrayBuffer()), false, false),
    zip: async () => (base?.files ? pack(edited()) : fetchZip((await getFunction(name)).Code.Location)),
  };
}
