// Reading something from lambkin into a component: what came, what went wrong, and reading it again.

import { useCallback, useEffect, useRef, useState } from 'react';

export interface Loaded<T> {
  value: T | undefined;
  error: unknown;
  loading: boolean;
  reload: () => Promise<void>;
}

/** Reads now, whenever `key` changes, and every `interval` milliseconds while the page is seen. */
export function useLoaded<T>(read: () => Promise<T>, key: string, interval?: number): Loaded<T> {
  const [state, setState] = useState<{ value?: T; error?: unknown; loading: boolean }>({ loading: true });
  const reader = useRef(read);
  reader.current = read;
  const turn = useRef(0);
  const reload = useCallback(async () => {
    const mine = ++turn.current;
    try {
      const value = await reader.current();
      if (mine === turn.current) setState({ value, loading: false });
    } catch (error) {
      if (mine === turn.current) setState((former) => ({ ...former, error, loading: false }));
    }
  }, []);
  useEffect(() => {
    setState({ loading: true });
    void reload();
    if (interval === undefined) return () => void turn.current++;
    // One at a time: where lambkin is slow, questions would pile up.
    let asking = false;
    const again = async () => {
      if (asking || document.visibilityState !== 'visible') return;
      asking = true;
      await reload();
      asking = false;
    };
    const timer = setInterval(() => void again(), interval);
    return () => {
      clearInterval(timer);
      turn.current++;
    };
  }, [key, interval, reload]);
  return { value: state.value, error: state.error, loading: state.loading, reload };
}
