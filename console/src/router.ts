// Where the console is: the part of the address after #, which never reaches the server.

import { useSyncExternalStore } from 'react';

export interface Place {
  /** The decoded words between slashes. */
  words: string[];
  query: URLSearchParams;
}

function subscribe(changed: () => void): () => void {
  window.addEventListener('hashchange', changed);
  return () => window.removeEventListener('hashchange', changed);
}

/** As it stands where somebody wrote a % that encodes nothing. */
export function decoded(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

export function usePlace(): Place {
  const hash = useSyncExternalStore(subscribe, () => location.hash);
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  return { words: path.split('/').filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

export function to(...words: string[]): string {
  return `#/${words.map(encodeURIComponent).join('/')}`;
}

export function go(address: string): void {
  location.hash = address;
}

/** For links that Cloudscape draws. */
export function follow(event: CustomEvent<{ href?: string; external?: boolean }>): void {
  const { href, external } = event.detail;
  if (href !== undefined && external !== true) {
    event.preventDefault();
    go(href);
  }
}
