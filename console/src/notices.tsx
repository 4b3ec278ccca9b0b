// What the console tells at the top of the page: done, or not.

import Flashbar, { type FlashbarProps } from '@cloudscape-design/components/flashbar';
import { createContext, type ReactNode, useCallback, useContext, useMemo, useRef, useState } from 'react';

import { Refusal, said } from './client/request';

interface Tell {
  done: (text: ReactNode) => void;
  failed: (what: string, error: unknown) => void;
  /** Does something and tells which of both it was. */
  act: (done: ReactNode, failed: string, deed: () => Promise<unknown>) => Promise<void>;
}

const Context = createContext<Tell>({ done: () => {}, failed: () => {}, act: async () => {} });

export const useNotices = (): Tell => useContext(Context);

/** Most that stand there at once. */
const MOST = 4;

export function Notices({ children }: { children: (bar: ReactNode) => ReactNode }) {
  const [items, setItems] = useState<FlashbarProps.MessageDefinition[]>([]);
  const next = useRef(0);
  const add = useCallback((item: Omit<FlashbarProps.MessageDefinition, 'id'>) => {
    const id = `notice-${next.current++}`;
    const dismiss = () => setItems((now) => now.filter((each) => each.id !== id));
    setItems((now) => [{ id, dismissible: true, onDismiss: dismiss, dismissLabel: 'Dismiss', ...item }, ...now].slice(0, MOST));
    if (item.type === 'success') setTimeout(dismiss, 6000);
  }, []);
  const tell = useMemo<Tell>(() => {
    const done = (content: ReactNode) => add({ type: 'success', content });
    const failed = (what: string, error: unknown) => {
      const header = error instanceof Refusal ? `${what}: ${error.code}` : what;
      add({ type: 'error', header, content: said(error) });
    };
    const act: Tell['act'] = (text, what, deed) => deed().then(() => done(text), (problem: unknown) => failed(what, problem));
    return { done, failed, act };
  }, [add]);
  return <Context value={tell}>{children(<Flashbar items={items} />)}</Context>;
}
