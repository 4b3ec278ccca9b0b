// The newest events of a log group, and those that come: the page keeps some of them, whatever there is.

import { useEffect, useState } from 'react';

import { filterEvents, type LogEvent } from '../client/logs';
import { Refusal } from '../client/request';

/** So many are shown. */
const KEPT = 1000;
/** How often one looks for more. */
const INTERVAL = 1500;
/** Events may be logged so much later than they were: several environments write one group. */
const LATE = 5000;

export interface Tail {
  events: LogEvent[];
  /** Found, with those that are not kept. */
  found: number;
  reading: boolean;
  error: unknown;
}

const NOTHING: Tail = { events: [], found: 0, reading: true, error: undefined };

export function useTail(group: string, pattern: string, since: number, follow: boolean, turn: number): Tail {
  const [tail, setTail] = useState(NOTHING);
  useEffect(() => {
    const stop = new AbortController();
    let events: LogEvent[] = [];
    let found = 0;
    let from = Date.now() - since;
    let recent = new Map<string, number>();
    const read = async () => {
      for await (const page of filterEvents(group, pattern, from, stop.signal)) {
        const fresh = page.filter(({ eventId }) => !recent.has(eventId));
        for (const { eventId, timestamp } of fresh) recent.set(eventId, timestamp);
        found += fresh.length;
        if (fresh.length > 0) events = [...events, ...fresh].slice(-KEPT);
        setTail({ events, found, reading: true, error: undefined });
      }
      const last = events.at(-1)?.timestamp;
      if (last !== undefined) from = Math.max(from, last - LATE);
      recent = new Map([...recent].filter(([, timestamp]) => timestamp >= from));
      setTail({ events, found, reading: false, error: undefined });
    };
    const run = async () => {
      let first = true;
      do {
        if (first || document.visibilityState === 'visible') {
          first = false;
          try {
            await read();
          } catch (error) {
            if (stop.signal.aborted) return;
            // The group comes with the first line.
            const absent = error instanceof Refusal && error.code === 'ResourceNotFoundException';
            setTail({ events, found, reading: false, error: absent ? undefined : error });
            // What it cannot read because of how it was asked it never can.
            if (error instanceof Refusal && !absent) return;
          }
        }
        await new Promise((resolve) => setTimeout(resolve, INTERVAL));
      } while (follow && !stop.signal.aborted);
    };
    setTail(NOTHING);
    void run();
    return () => stop.abort();
  }, [group, pattern, since, follow, turn]);
  return tail;
}
