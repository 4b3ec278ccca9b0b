// Invocations that were started from a function's page: its tab keeps them, over reloads too, to be compared and replayed.

import { type RefObject, useCallback, useEffect, useRef, useState } from 'react';

import { getConfiguration, invoke, type Invoked, LATEST } from '../client/lambda';
import { Refusal, said } from '../client/request';
import { region } from '../client/session';
import { type Report, reportOf } from './report';

export interface Run {
  id: number;
  at: number;
  event: string;
  payload: string;
  type: 'RequestResponse' | 'Event';
  /** The version or alias that was asked for. */
  qualifier: string;
  codeSha256: string;
  /** Milliseconds that this page waited. */
  took: number;
  invoked?: Invoked;
  report: Report;
  /** lambkin did not take it. */
  refusal?: unknown;
}

/** So many results are kept. */
const KEPT = 20;
/** Characters of them that are kept over a reload: a tab's storage has room for some millions. */
const STORED = 1_000_000;

export interface Runs {
  runs: Run[];
  running: boolean;
  start: (event: string, payload: string, type: Run['type'], qualifier: string, codeSha256: string) => Promise<void>;
}

const place = (name: string) => `lambkin-runs ${region()} ${name}`;

/** The newest of them, as many as there is room for. */
function keep(name: string, runs: Run[]): void {
  const texts: string[] = [];
  let room = STORED;
  for (const run of runs) {
    const refusal = run.refusal instanceof Refusal ? { status: run.refusal.status, code: run.refusal.code, message: run.refusal.message } : run.refusal && { message: said(run.refusal) };
    const text = JSON.stringify({ ...run, refusal });
    room -= text.length;
    if (room < 0) break;
    texts.push(text);
  }
  try {
    sessionStorage.setItem(place(name), `[${texts.join(',')}]`);
  } catch {
    // Other functions' results have taken the room: these last as long as the page.
    sessionStorage.removeItem(place(name));
  }
}

function kept(name: string): Run[] {
  const runs = JSON.parse(sessionStorage.getItem(place(name)) ?? '[]') as (Run & { refusal?: { status?: number; code?: string; message: string } })[];
  return runs.map(({ refusal, ...run }) => {
    if (refusal === undefined) return run;
    const { status, code, message } = refusal;
    return { ...run, refusal: status === undefined ? new Error(message) : new Refusal(status, code ?? '', message) };
  });
}

export function useRuns(name: string): Runs {
  const [runs, setRuns] = useState<Run[]>(() => kept(name));
  const [running, setRunning] = useState(false);
  const start = useCallback<Runs['start']>(
    async (event, payload, type, qualifier, codeSha256) => {
      setRunning(true);
      const at = Date.now();
      const run: Run = { id: at, at, event, payload, type, qualifier, codeSha256, took: 0, report: {} };
      try {
        run.invoked = await invoke(name, payload, type, qualifier);
        // Which version ran is known now.
        if (qualifier !== LATEST) run.codeSha256 = (await getConfiguration(name, run.invoked.executedVersion)).CodeSha256;
        run.report = reportOf(run.invoked.log);
      } catch (error) {
        run.refusal = error;
      }
      run.took = Date.now() - at;
      setRuns((former) => {
        const all = [run, ...former].slice(0, KEPT);
        keep(name, all);
        return all;
      });
      setRunning(false);
    },
    [name],
  );
  return { runs, running, start };
}

/** Where the result stands: it is brought into view when there is a new one. */
export function useNewest({ runs }: Runs): RefObject<HTMLDivElement | null> {
  const place = useRef<HTMLDivElement>(null);
  const newest = runs[0]?.id;
  const seen = useRef(newest);
  useEffect(() => {
    if (seen.current !== newest) place.current?.scrollIntoView({ block: 'start' });
    seen.current = newest;
  }, [newest]);
  return place;
}
