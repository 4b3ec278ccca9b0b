// What was edited and not deployed yet. It survives a reload, a closed browser and a lambkin that is gone. Each tab has its own:
// two tabs of one browser no more overwrite each other than two browsers do.

import { region } from '../client/session';

export interface Draft {
  /** The package it was begun from. */
  codeSha256: string;
  /** Texts of changed and new files; `null` for deleted ones. */
  files: Record<string, string | null>;
  /** When it was changed last. */
  at: number;
}

const TAB = 'lambkin.tab';
/** A reload may come before the former page's lock is gone. */
const PATIENCE = 1000;

const prefix = (name: string) => `lambkin.draft.${region()}.${name}`;
const key = (name: string) => `${prefix(name)}.${tab}`;
const lock = (word: string) => `${TAB}.${word}`;

/** This tab's word, which outlasts a reload. Where the browser has no locks it is the same for all tabs, which then share a draft. */
let tab = '';

async function begin(): Promise<void> {
  if (navigator.locks === undefined) return;
  let word = sessionStorage.getItem(TAB) ?? crypto.randomUUID();
  if (!(await hold(word))) {
    // A tab that was duplicated begins with its original's storage.
    word = crypto.randomUUID();
    await hold(word);
  }
  sessionStorage.setItem(TAB, word);
  tab = word;
}

/** Takes the lock of a word for as long as this tab is there; false where another has it. */
function hold(word: string): Promise<boolean> {
  return new Promise((resolve) => {
    const held = () => {
      resolve(true);
      return new Promise<never>(() => {});
    };
    navigator.locks.request(lock(word), { signal: AbortSignal.timeout(PATIENCE) }, held).catch(() => resolve(false));
  });
}

const begun = begin();

function read(place: string): Draft | undefined {
  const kept = localStorage.getItem(place);
  try {
    return kept === null ? undefined : (JSON.parse(kept) as Draft);
  } catch {
    return undefined;
  }
}

const keysOf = (name: string) => Object.keys(localStorage).filter((place) => place === prefix(name) || place.startsWith(`${prefix(name)}.`));

/** This tab's draft, or else the last one of tabs that are closed. */
export async function takeDraft(name: string): Promise<Draft | undefined> {
  await begun;
  const own = read(key(name));
  if (own !== undefined || tab === '') return own;
  const { held = [] } = await navigator.locks.query();
  const open = new Set(held.map(({ name: each }) => each));
  const left = keysOf(name)
    .filter((place) => !open.has(lock(place.slice(prefix(name).length + 1))))
    .map((place) => ({ place, draft: read(place) }))
    .sort((a, b) => (b.draft?.at ?? 0) - (a.draft?.at ?? 0));
  const [last] = left;
  if (last?.draft === undefined) return undefined;
  localStorage.removeItem(last.place);
  keepDraft(name, last.draft);
  return last.draft;
}

/** False where the browser has no room for it. */
export function keepDraft(name: string, draft: Omit<Draft, 'at'>): boolean {
  try {
    if (Object.keys(draft.files).length === 0) localStorage.removeItem(key(name));
    else localStorage.setItem(key(name), JSON.stringify({ ...draft, at: Date.now() }));
    return true;
  } catch {
    return false;
  }
}

/** Of all tabs: the function is gone. */
export function dropDrafts(name: string): void {
  keysOf(name).forEach((place) => localStorage.removeItem(place));
}
