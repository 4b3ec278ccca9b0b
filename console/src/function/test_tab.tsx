// Trying a function: an event from a sample or of one's own, run now or as an event, and what came of it.

import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import FormField from '@cloudscape-design/components/form-field';
import Grid from '@cloudscape-design/components/grid';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import SegmentedControl from '@cloudscape-design/components/segmented-control';
import Select, { type SelectProps } from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Table from '@cloudscape-design/components/table';
import { useEffect, useMemo, useState } from 'react';

import { LATEST, listAliases, listVersions } from '../client/lambda';
import { deleteTestEvent, type Sample, sample, samples, saveTestEvent, testEvents } from '../client/own';
import { region } from '../client/session';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { Editor } from '../parts/editor';
import { Problem } from '../parts/problem';
import { Result, type Show } from './result';
import { type Run, type Runs, useNewest } from './runs';

/** The event that Test runs; it is the page's, so that the Code tab runs it too. */
export interface Event {
  name: string;
  text: string;
  type: Run['type'];
  /** Of the Test tab; the Code tab tries what it deploys, which is `$LATEST`. */
  qualifier: string;
}

/** What AWS's console begins with. */
const HELLO: Event = {
  name: 'hello-world', text: JSON.stringify({ key1: 'value1', key2: 'value2', key3: 'value3' }, null, 2), type: 'RequestResponse', qualifier: LATEST,
};

/** The event of a function's page; its tab keeps it over reloads. */
export function useEvent(name: string): [Event, (event: Event) => void] {
  const place = `lambkin-event ${region()} ${name}`;
  const [event, setEvent] = useState<Event>(() => JSON.parse(sessionStorage.getItem(place) ?? 'null') as Event | null ?? HELLO);
  const change = (next: Event) => {
    setEvent(next);
    try {
      sessionStorage.setItem(place, JSON.stringify(next));
    } catch {
      // No room in this tab's storage: it lasts as long as the page.
      sessionStorage.removeItem(place);
    }
  };
  return [event, change];
}

interface Properties {
  name: string;
  codeSha256: string;
  event: Event;
  change: (event: Event) => void;
  runs: Runs;
  show: Show;
}

export function TestTab({ name, codeSha256, event, change, runs, show }: Properties) {
  const notices = useNotices();
  const saved = useLoaded(() => testEvents(name), name);
  const all = useLoaded(samples, 'samples');
  const qualifiers = useLoaded(() => qualifiersOf(name), name);
  const [shown, setShown] = useState<number>();
  const [chosen, setChosen] = useState<SelectProps.Option | null>(null);
  const result = useNewest(runs);
  const invalid = useMemo(() => problemOf(event.text), [event.text]);
  const own = useMemo(() => saved.value ?? {}, [saved.value]);
  const run = runs.runs.find((each) => each.id === shown) ?? runs.runs[0];

  // A new result is the one that is looked at.
  useEffect(() => setShown(undefined), [runs.runs[0]?.id]);

  const start = () => {
    if (invalid === undefined && !runs.running) void runs.start(event.name || 'Unnamed event', event.text, event.type, event.qualifier, codeSha256);
  };
  const choose = async (option: SelectProps.Option) => {
    setChosen(option);
    const [kind, key = ''] = (option.value ?? '').split(/:(.*)/s);
    try {
      if (kind === 'own') change({ ...event, name: key, text: own[key] ?? '' });
      else change({ ...event, name: option.label ?? key, text: await sample(key) });
    } catch (problem) {
      notices.failed('The sample cannot be read', problem);
    }
  };
  const save = async () => {
    try {
      const key = event.name.trim().replace(/[^a-zA-Z0-9-_.]+/g, '-').slice(0, 64);
      await saveTestEvent(name, key, event.text);
      change({ ...event, name: key });
      setChosen({ value: `own:${key}`, label: key });
      await saved.reload();
      notices.done(`Saved the test event ${key}.`);
    } catch (problem) {
      notices.failed('The test event is not saved', problem);
    }
  };
  const remove = async () => {
    await notices.act(`Deleted the test event ${event.name}.`, 'The test event is not deleted', async () => {
      await deleteTestEvent(name, event.name);
      setChosen(null);
    });
    await saved.reload();
  };

  return (
    <SpaceBetween size="l">
      <Container
        header={
          <Header
            variant="h2"
            description="Ctrl-Enter in the editor tests too."
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                {event.name in own && <Button onClick={() => void remove()}>Delete event</Button>}
                <Button disabled={invalid !== undefined || event.name.trim() === ''} onClick={() => void save()}>Save event</Button>
                <Button variant="primary" loading={runs.running} disabled={invalid !== undefined} onClick={start}>Test</Button>
              </SpaceBetween>
            }
          >
            Test event
          </Header>
        }
      >
        <SpaceBetween size="m">
          <Problem error={saved.error ?? all.error} retry={() => void saved.reload()} header="The events cannot be read" />
          <Grid gridDefinition={[3, 3, 2, 4].map((xs) => ({ colspan: { default: 12, xs } }))}>
            <FormField label="Template or saved event">
              <Select
                placeholder="Choose an event"
                filteringType="auto"
                filteringAriaLabel="Find an event"
                selectedOption={chosen}
                options={options(own, all.value ?? [])}
                statusType={all.loading ? 'loading' : 'finished'}
                onChange={({ detail }) => void choose(detail.selectedOption)}
              />
            </FormField>
            <FormField label="Event name">
              <Input value={event.name} placeholder="my-event" spellcheck={false} onChange={({ detail }) => change({ ...event, name: detail.value })} />
            </FormField>
            <FormField label="Version or alias">
              <Select
                selectedOption={{ value: event.qualifier, label: event.qualifier }}
                options={qualifiers.value ?? [{ value: LATEST, label: LATEST }]}
                statusType={qualifiers.loading ? 'loading' : 'finished'}
                onChange={({ detail }) => change({ ...event, qualifier: detail.selectedOption.value ?? LATEST })}
              />
            </FormField>
            <FormField label="Invocation type">
              <SegmentedControl
                label="Invocation type"
                selectedId={event.type}
                options={[{ id: 'RequestResponse', text: 'Synchronous' }, { id: 'Event', text: 'Asynchronous' }]}
                onChange={({ detail }) => change({ ...event, type: detail.selectedId as Run['type'] })}
              />
            </FormField>
          </Grid>
          <FormField
            stretch
            label={<span id="event-label">Event JSON</span>}
            errorText={invalid}
            secondaryControl={<Button iconName="file" disabled={invalid !== undefined} onClick={() => change({ ...event, text: JSON.stringify(JSON.parse(event.text), null, 2) })}>Format</Button>}
          >
            <div className="event-editor">
              <Editor document="event" text={event.text} language="json" label="Event JSON" onChange={(text) => change({ ...event, text })} onRun={start} />
            </div>
          </FormField>
        </SpaceBetween>
      </Container>
      {run && (
        <div ref={result} className="result">
          <Result run={run} show={show} busy={runs.running} replay={() => void runs.start(run.event, run.payload, run.type, run.qualifier, codeSha256)} />
        </div>
      )}
      {runs.runs.length > 1 && <Compare runs={runs.runs} shown={run} choose={setShown} />}
    </SpaceBetween>
  );
}

function Compare({ runs, shown, choose }: { runs: Run[]; shown: Run | undefined; choose: (id: number) => void }) {
  const cell = (value: number | undefined, unit: string) => (value === undefined ? '–' : `${value} ${unit}`);
  return (
    <Table
      variant="container"
      header={<Header variant="h2" counter={`(${runs.length})`}>Last results</Header>}
      items={runs}
      trackBy="id"
      selectionType="single"
      selectedItems={shown ? [shown] : []}
      onSelectionChange={({ detail }) => detail.selectedItems[0] && choose(detail.selectedItems[0].id)}
      ariaLabels={{
        tableLabel: 'Last results',
        selectionGroupLabel: 'Result to show',
        itemSelectionLabel: (_, run) => `Show the result of ${new Date(run.at).toLocaleTimeString()}`,
      }}
      columnDefinitions={[
        { id: 'at', header: 'Time', cell: (run) => new Date(run.at).toLocaleTimeString() },
        { id: 'event', header: 'Event', cell: (run) => run.event },
        {
          id: 'outcome', header: 'Outcome',
          cell: (run) =>
            run.refusal !== undefined || run.invoked?.error !== undefined
              ? <StatusIndicator type="error">Failed</StatusIndicator>
              : <StatusIndicator type="success">{run.type === 'Event' ? 'Accepted' : 'Succeeded'}</StatusIndicator>,
        },
        { id: 'duration', header: 'Duration', cell: (run) => cell(run.report.duration, 'ms') },
        { id: 'billed', header: 'Billed', cell: (run) => cell(run.report.billed, 'ms') },
        { id: 'init', header: 'Init', cell: (run) => cell(run.report.init, 'ms') },
        { id: 'memory', header: 'Max memory', cell: (run) => cell(run.report.maxMemory, 'MB') },
        { id: 'response', header: 'Response', cell: (run) => <Box variant="code">{(run.invoked?.payload ?? '').slice(0, 40)}</Box> },
      ]}
    />
  );
}

function options(own: Record<string, string>, all: Sample[]): SelectProps.Options {
  const groups = new Map<string, SelectProps.Option[]>();
  for (const { name, title, service } of [...all].sort((a, b) => a.title.localeCompare(b.title))) {
    groups.set(service, [...(groups.get(service) ?? []), { value: `sample:${name}`, label: title }]);
  }
  // What one tries first stands first.
  const services = [...groups.keys()].sort((a, b) => Number(b === 'Lambda') - Number(a === 'Lambda') || a.localeCompare(b));
  const names = Object.keys(own);
  return [
    ...(names.length > 0 ? [{ label: 'Saved events', options: names.map((key) => ({ value: `own:${key}`, label: key })) }] : []),
    ...services.map((service) => ({ label: service, options: groups.get(service) ?? [] })),
  ];
}

async function qualifiersOf(name: string): Promise<SelectProps.Options> {
  const [versions, aliases] = await Promise.all([listVersions(name), listAliases(name)]);
  const option = (value: string, description = '') => ({ value, label: value, description });
  const numbered = versions.filter(({ Version }) => Version !== LATEST).reverse();
  return [
    option(LATEST),
    ...(aliases.length > 0 ? [{ label: 'Aliases', options: aliases.map((alias) => option(alias.Name, alias.Description)) }] : []),
    ...(numbered.length > 0 ? [{ label: 'Versions', options: numbered.map((each) => option(each.Version, each.Description)) }] : []),
  ];
}

function problemOf(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return `This is not JSON: ${(error as Error).message}`;
  }
}
