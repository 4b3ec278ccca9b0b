// The functions of the region as the list shows them, read page by page: the API gives fifty at a time.

import { useEffect, useState } from 'react';

import { type Configuration, listFunctions } from '../client/lambda';

/** What the list shows of a function: of ten thousand, variables and the like would be held for nothing. */
export type Item = Pick<Configuration, 'FunctionName' | 'FunctionArn' | 'Description' | 'Runtime' | 'MemorySize' | 'CodeSize' | 'LastModified'> & {
  /** What it is found by, in small letters. */
  words: string;
};

export interface FunctionList {
  items: Item[];
  /** More may come. */
  reading: boolean;
  error: unknown;
}

/** Milliseconds between two drawings while pages come: each sorts what there is. */
const PAUSE = 500;

/** What was read last, to begin with when somebody comes back. Another region is another page. */
let known: Item[] = [];

function itemOf(configuration: Configuration): Item {
  const { FunctionName, FunctionArn, Description, Runtime, MemorySize, CodeSize, LastModified } = configuration;
  return {
    FunctionName, FunctionArn, Description, Runtime, MemorySize, CodeSize, LastModified,
    words: [FunctionName, Description, Runtime].join('\n').toLowerCase(),
  };
}

/** Reads now, and again for each `turn`. What was known of names that are not read again yet stays meanwhile. */
export function useFunctionList(turn: number): FunctionList {
  const [list, setList] = useState<FunctionList>({ items: known, reading: true, error: undefined });
  useEffect(() => {
    const stop = new AbortController();
    const read = async () => {
      const items: Item[] = [];
      let drawn = 0;
      for await (const page of listFunctions(stop.signal)) {
        items.push(...page.map(itemOf));
        // The first page is seen at once.
        if (Date.now() - drawn < PAUSE) continue;
        drawn = Date.now();
        const last = items.at(-1)?.FunctionName ?? '';
        // Pages come in order of names.
        known = [...items, ...known.filter(({ FunctionName: name }) => name > last)];
        setList({ items: known, reading: true, error: undefined });
      }
      known = items;
      setList({ items, reading: false, error: undefined });
    };
    setList({ items: known, reading: true, error: undefined });
    read().catch((error: unknown) => {
      if (!stop.signal.aborted) setList((now) => ({ ...now, reading: false, error }));
    });
    return () => stop.abort();
  }, [turn]);
  return list;
}

/** They are gone; the next reading says so, too. */
export function forget(names: Set<string>): void {
  known = known.filter(({ FunctionName: name }) => !names.has(name));
}
