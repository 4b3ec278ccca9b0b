// What was edited and not deployed yet. It survives a reload, and a lambkin that is gone.

import { region } from '../client/session';

export interface Draft {
  /** The package it was begun from. */
  codeSha256: string;
  /** Texts of changed and new files; `null` for deleted ones. */
  files: Record<string, string | null>;
}

const key = (name: string) => `lambkin.draft.${region()}.${name}`;

export function readDraft(name: string): Draft | undefined {
  const kept = localStorage.getItem(key(name));
  try {
    return kept === null ? undefined : (JSON.parse(kept) as Draft);
  } catch {
    return undefined;
  }
}

/** False where the browser has no room for it. */
export function keepDraft(name: string, draft: Draft): boolean {
  try {
    if (Object.keys(draft.files).length === 0) localStorage.removeItem(key(name));
    else localStorage.setItem(key(name), JSON.stringify(draft));
    return true;
  } catch {
    return false;
  }
}

export function dropDraft(name: string): void {
  localStorage.removeItem(key(name));
}
