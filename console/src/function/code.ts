// The package of one function as it is edited: what is deployed, what was changed, and bringing it there.

import { useCallback, useEffect, useMemo, useRef, useState } from 'react';

import { type Configuration, getConfiguration, getFunction, settled, updateCode } from '../client/lambda';
import { Refusal } from '../client/request';
import { useNotices } from '../notices';
import { base64, bytesOf, EDITABLE_BYTES, newFile, pack, type Package, textOf, unpack } from '../package/archive';
import { type Draft, dropDraft, keepDraft, readDraft } from '../package/draft';

export interface Code {
  /** What is deployed; `undefined` while it is read, or where it is too large. */
  files: Package | undefined;
  tooLarge: number | undefined;
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

async function fetchPackage(name: string): Promise<{ configuration: Configuration; zip: Uint8Array | undefined; location: string }> {
  const { Configuration: configuration, Code: { Location: location } } = await getFunction(name);
  if (configuration.CodeSize > EDITABLE_BYTES) return { configuration, zip: undefined, location };
  return { configuration, zip: await fetchZip(location), location };
}

async function fetchZip(location: string): Promise<Uint8Array> {
  // The link is of this origin, whatever name the browser used.
  const { pathname, search } = new URL(location);
  const response = await fetch(pathname + search);
  if (!response.ok) throw new Error(`The package cannot be read (${response.status}).`);
  return new Uint8Array(await response.arrayBuffer());
}

export function useCode(name: string, changedConfiguration: (configuration: Configuration) => void): Code {
  const notices = useNotices();
  const [base, setBase] = useState<{ files?: Package; sha: string; revision: string; size: number }>();
  const [draft, setDraft] = useState<Draft['files']>({});
  const [error, setError] = useState<unknown>();
  const [conflict, setConflict] = useState(false);
  const [deploying, setDeploying] = useState(false);
  const [kept, setKept] = useState(true);
  const [turn, setTurn] = useState(0);
  const told = useRef(changedConfiguration);
  told.current = changedConfiguration;

  const load = useCallback(
    async (keep: boolean) => {
      try {
        const { configuration, zip } = await fetchPackage(name);
        const { CodeSha256: sha, RevisionId: revision, CodeSize: size } = configuration;
        const former = keep ? readDraft(name) : undefined;
        setBase({ ...(zip && { files: unpack(zip) }), sha, revision, size });
        setDraft(former?.files ?? {});
        setConflict(former !== undefined && former.codeSha256 !== sha);
        setError(undefined);
        setTurn((now) => now + 1);
        told.current(configuration);
      } catch (problem) {
        setError(problem);
      }
    },
    [name],
  );
  useEffect(() => void load(true), [load]);

  const change = (next: Draft['files']) => {
    if (!base) return;
    setDraft(next);
    // A draft that began from another package goes on naming that one.
    const codeSha256 = readDraft(name)?.codeSha256 ?? base.sha;
    setKept(keepDraft(name, { codeSha256, files: next }));
  };

  const deployed = (file: string) => {
    const found = base?.files?.get(file);
    return found && textOf(found.bytes);
  };
  const text = (file: string) => {
    const drafted = draft[file];
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

  const bring = async (zip: Uint8Array, over: boolean) => {
    setDeploying(true);
    try {
      if (await send(zip, over)) {
        dropDraft(name);
        const configuration = await settled(name);
        await load(false);
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
      names: [...new Set([...(base?.files?.keys() ?? []), ...entries.map(([file]) => file)])].sort(),
    };
  }, [draft, base]);

  return {
    files: base?.files,
    tooLarge: base && !base.files ? base.size : undefined,
    error, names, changed, deleted, conflict, deploying, kept, turn, text, edit, remove,
    discard: () => {
      dropDraft(name);
      void load(false);
    },
    reload: () => void load(true),
    deploy: (over = false) => bring(pack(edited()), over),
    upload: async (file) => bring(new Uint8Array(await file.arrayBuffer()), false),
    zip: async () => (base?.files ? pack(edited()) : fetchZip((await getFunction(name)).Code.Location)),
  };
}
