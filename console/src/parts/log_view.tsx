// A log group as it is read: found by a filter pattern, over some time, followed as it grows.

import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import SegmentedControl from '@cloudscape-design/components/segmented-control';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Toggle from '@cloudscape-design/components/toggle';
import { useEffect, useRef, useState } from 'react';

import type { LogEvent } from '../client/logs';
import { Problem } from './problem';
import { useTail } from './tail';

const HOUR = 3_600_000;

const SINCE = [
  { id: String(HOUR / 4), text: '15 min' },
  { id: String(HOUR), text: '1 h' },
  { id: String(24 * HOUR), text: '1 day' },
  { id: String(7 * 24 * HOUR), text: '7 days' },
];

/** Until typing has paused for so long nothing is asked. */
const PAUSE = 400;

interface Properties {
  group: string;
  title: string;
  /** A filter that somebody else chose; it can be changed here. */
  chosen?: { pattern: string; turn: number } | undefined;
}

export function LogView({ group, title, chosen }: Properties) {
  const [text, setText] = useState(chosen?.pattern ?? '');
  const [pattern, setPattern] = useState(text);
  const [since, setSince] = useState(String(HOUR));
  const [follow, setFollow] = useState(true);
  const [turn, setTurn] = useState(0);
  const tail = useTail(group, pattern, Number(since), follow, turn);
  useEffect(() => {
    if (chosen !== undefined) setText(chosen.pattern);
  }, [chosen]);
  useEffect(() => {
    const timer = setTimeout(() => setPattern(text.trim()), PAUSE);
    return () => clearTimeout(timer);
  }, [text]);
  const kept = tail.events.length;
  return (
    <Container
      header={
        <Header
          variant="h2"
          description={kept < tail.found ? `The newest ${kept} of ${tail.found} lines` : `${kept} ${kept === 1 ? 'line' : 'lines'}`}
          actions={
            <SpaceBetween direction="horizontal" size="s" alignItems="center">
              <Toggle checked={follow} onChange={({ detail }) => setFollow(detail.checked)}>Live</Toggle>
              <Button iconName="refresh" ariaLabel="Read the log again" onClick={() => setTurn(turn + 1)} />
            </SpaceBetween>
          }
        >
          {title}
        </Header>
      }
    >
      <SpaceBetween size="s">
        <div className="log-search">
          <Input
            type="search"
            value={text}
            ariaLabel="Filter pattern"
            placeholder='Filter pattern: ERROR, "two words", { $.level = "WARN" }'
            spellcheck={false}
            onChange={({ detail }) => setText(detail.value)}
          />
          <SegmentedControl label="Since" selectedId={since} options={SINCE} onChange={({ detail }) => setSince(detail.selectedId)} />
        </div>
        <Problem error={tail.error} retry={() => setTurn(turn + 1)} header="The log cannot be read" />
        {kept > 0 && <Lines events={tail.events} follow={follow} />}
        {kept === 0 && tail.error === undefined && (
          <Box textAlign="center" padding="m" color="text-body-secondary">
            {tail.reading ? <StatusIndicator type="loading">Reading</StatusIndicator> : 'No lines of that time match.'}
          </Box>
        )}
      </SpaceBetween>
    </Container>
  );
}

const PLATFORM = /^(START|END|REPORT|INIT_START|INIT_REPORT|EXTENSION) /;

function Lines({ events, follow }: { events: LogEvent[]; follow: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const bottom = useRef(true);
  const newest = events.at(-1)?.eventId;
  useEffect(() => {
    // Who scrolled up reads there.
    if (follow && bottom.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [newest, follow]);
  return (
    <div
      ref={box}
      className="output log-lines"
      tabIndex={0}
      role="log"
      aria-label="Log events"
      onScroll={({ currentTarget: at }) => (bottom.current = at.scrollHeight - at.scrollTop - at.clientHeight < 24)}
    >
      {events.map(({ eventId, timestamp, message, logStreamName }) => (
        <div key={eventId} title={logStreamName} className={PLATFORM.test(message) ? 'platform' : /\tERROR\t|"level":"ERROR"/.test(message) ? 'trouble' : undefined}>
          <span className="log-time">{new Date(timestamp).toISOString().slice(0, 23).replace('T', ' ')}</span> {shown(message)}
        </div>
      ))}
    </div>
  );
}

/** The runtime's own lines begin with the time that stands before them. */
function shown(message: string): string {
  return message.trimEnd().replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z\t/, '');
}
