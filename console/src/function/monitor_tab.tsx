// How a function is doing: CloudWatch's metrics by time, its last invocations, and its log.

import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import Grid from '@cloudscape-design/components/grid';
import Header from '@cloudscape-design/components/header';
import LineChart, { type LineChartProps } from '@cloudscape-design/components/line-chart';
import Link from '@cloudscape-design/components/link';
import SegmentedControl from '@cloudscape-design/components/segmented-control';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Table from '@cloudscape-design/components/table';
import { useState } from 'react';

import type { Configuration } from '../client/lambda';
import { useLoaded } from '../load';
import { LogView } from '../parts/log_view';
import { Problem } from '../parts/problem';
import { type Figure, type Figures, figuresOf, groupOf, type Invocation, RANGES, reports } from './figures';

const INTERVAL = 10_000;

interface Line {
  title: string;
  of: (figure: Figure) => number | undefined;
  /** Of the whole range, where its periods say that. */
  whole?: (values: number[]) => number;
}

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
const least = (values: number[]) => Math.min(...values);
const most = (values: number[]) => Math.max(...values);

interface Titled {
  title: string;
  unit: string;
  lines: Line[];
  /** What no metric says. */
  note?: (figures: Figures) => string | undefined;
}

const CHARTS: Titled[] = [
  {
    title: 'Invocations', unit: '',
    lines: [{ title: 'Invocations', of: (figure) => figure.invocations, whole: sum }, { title: 'Errors', of: (figure) => figure.errors, whole: sum }],
  },
  {
    title: 'Duration', unit: ' ms',
    lines: [
      { title: 'Minimum', of: (figure) => figure.least, whole: least },
      { title: 'Average', of: (figure) => figure.mean },
      { title: 'Maximum', of: (figure) => figure.most, whole: most },
    ],
  },
  { title: 'Success rate', unit: ' %', lines: [{ title: 'Success rate', of: success }] },
  {
    title: 'Duration percentiles', unit: ' ms',
    lines: [
      { title: 'p50', of: (figure) => figure.p50 },
      { title: 'p95', of: (figure) => figure.p95 },
      { title: 'p99', of: (figure) => figure.p99 },
    ],
  },
  { title: 'Throttles', unit: '', lines: [{ title: 'Throttles', of: (figure) => figure.throttles, whole: sum }] },
  { title: 'Concurrent executions', unit: '', lines: [{ title: 'Concurrent executions', of: (figure) => figure.concurrency, whole: most }] },
  {
    title: 'Age of asynchronous events', unit: ' ms',
    lines: [{ title: 'Average', of: (figure) => figure.age }, { title: 'Maximum', of: (figure) => figure.oldest, whole: most }],
  },
  {
    title: 'Asynchronous events', unit: '',
    lines: [{ title: 'Received', of: (figure) => figure.received, whole: sum }, { title: 'Dropped', of: (figure) => figure.dropped, whole: sum }],
  },
  {
    title: 'Dead letters and destinations', unit: '',
    lines: [
      { title: 'Dead letters that failed', of: (figure) => figure.deadLetterErrors, whole: sum },
      { title: 'Records that failed', of: (figure) => figure.undelivered, whole: sum },
    ],
    note: ({ delivered }) => delivered && `Delivered since lambkin began: ${delivered.deadLetters} dead letters, ${delivered.records} records. CloudWatch counts what failed.`,
  },
  { title: 'Cold starts', unit: '', lines: [{ title: 'Cold starts', of: (figure) => figure.cold, whole: sum }] },
];

function success({ invocations, errors }: Figure): number | undefined {
  return invocations === 0 ? undefined : Math.max(0, 100 * (1 - errors / invocations));
}

export default function MonitorTab({ configuration }: { configuration: Configuration }) {
  const [id, setId] = useState<string>('1h');
  const [chosen, setChosen] = useState<{ pattern: string; turn: number }>();
  const range = RANGES.find((each) => each.id === id) ?? RANGES[1];
  const group = groupOf(configuration);
  const loaded = useLoaded(() => figuresOf(configuration, range), `${configuration.FunctionArn} ${group} ${range.id}`, INTERVAL);
  return (
    <SpaceBetween size="l">
      <Container
        header={
          <Header
            variant="h2"
            description={`CloudWatch's, by the minute for fifteen days; cold starts from ${group}`}
            actions={
              <SpaceBetween direction="horizontal" size="xs" alignItems="center">
                <SegmentedControl label="Range" selectedId={id} options={RANGES.map(({ id: each, text }) => ({ id: each, text }))} onChange={({ detail }) => setId(detail.selectedId)} />
                <Button iconName="refresh" ariaLabel="Read the figures again" onClick={() => void loaded.reload()} />
              </SpaceBetween>
            }
          >
            Metrics
          </Header>
        }
      >
        <SpaceBetween size="m">
          {!reports(configuration) && <Alert type="info">The system log level WARN leaves REPORT lines of good invocations out, so their cold starts are not counted, and they are not listed.</Alert>}
          <Problem error={loaded.error} retry={() => void loaded.reload()} header="The metrics cannot be read" />
          {loaded.value ? (
            <Grid gridDefinition={CHARTS.map(() => ({ colspan: { default: 12, xs: 6 } }))}>
              {CHARTS.map((chart) => <Chart key={chart.title} {...chart} figures={loaded.value!} />)}
            </Grid>
          ) : (
            loaded.loading && <StatusIndicator type="loading">Asking CloudWatch</StatusIndicator>
          )}
        </SpaceBetween>
      </Container>
      <Recent invocations={loaded.value?.recent ?? []} show={(requestId) => setChosen({ pattern: `"${requestId}"`, turn: Date.now() })} />
      <LogView key={group} group={group} title="Log" chosen={chosen} />
    </SpaceBetween>
  );
}

function Chart({ title, unit, lines, note, figures }: Titled & { figures: Figures }) {
  const series: LineChartProps<Date>['series'] = lines.map((line) => ({
    title: line.title,
    type: 'line',
    data: figures.figures.flatMap((figure) => {
      const y = line.of(figure);
      // As long as the period that it is of: a single point would not be seen.
      return y === undefined ? [] : [{ x: figure.at, y }, { x: new Date(figure.at.getTime() + figures.period - 1), y }];
    }),
    valueFormatter: (value: number) => `${rounded(value)}${unit}`,
  }));
  const highest = Math.max(...series.flatMap((each) => ('data' in each ? each.data.map(({ y }) => y) : [])), 0);
  const any = series.some((each) => 'data' in each && each.data.length > 0);
  const wholes = lines.flatMap(({ title: of, of: value, whole }) => {
    const values = figures.figures.map(value).filter((each) => each !== undefined);
    return whole === undefined || values.length === 0 ? [] : [`${of} ${rounded(whole(values))}${unit}`];
  });
  return (
    <section aria-label={title}>
      <Box variant="h3">{title}</Box>
      <Box variant="small" color="text-body-secondary" padding={{ bottom: 's' }}>{wholes.join(' · ') || ' '}</Box>
      <LineChart
        series={any ? series : []}
        xScaleType="time"
        xDomain={[figures.from, figures.until]}
        yDomain={[0, unit === ' %' ? 100 : Math.max(1, highest * 1.1)]}
        height={160}
        hideFilter
        hideLegend={lines.length === 1}
        ariaLabel={title}
        i18nStrings={{ xTickFormatter: (at) => tick(at, figures), yTickFormatter: (value) => `${rounded(value)}${unit}` }}
        empty={<Box textAlign="center" color="text-body-secondary">Nothing of that time</Box>}
      />
      {note && <Box variant="small" color="text-body-secondary">{note(figures)}</Box>}
    </section>
  );
}

function rounded(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 2 : 1 });
}

function tick(at: Date, { from, until }: Figures): string {
  const days = until.getTime() - from.getTime() > 36 * 3_600_000;
  return days ? at.toLocaleDateString('en', { month: 'short', day: 'numeric' }) : at.toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
}

function Recent({ invocations, show }: { invocations: Invocation[]; show: (requestId: string) => void }) {
  return (
    <Table
      variant="container"
      items={invocations}
      trackBy={({ requestId, at }) => `${requestId} ${at}`}
      ariaLabels={{ tableLabel: 'Recent invocations' }}
      header={<Header variant="h2" description="Newest first; a request ID shows its lines in the log below">Recent invocations</Header>}
      empty={<Box textAlign="center">No invocations of that time.</Box>}
      columnDefinitions={[
        { id: 'at', header: 'Ended', cell: ({ at }) => <span title={new Date(at).toISOString()}>{new Date(at).toLocaleString('en', { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })}</span> },
        { id: 'id', header: 'Request ID', isRowHeader: true, cell: ({ requestId }) => <Link onFollow={() => show(requestId)}>{requestId}</Link> },
        { id: 'outcome', header: 'Outcome', cell: ({ failed }) => <StatusIndicator type={failed ? 'error' : 'success'}>{failed ? 'Failed' : 'Succeeded'}</StatusIndicator> },
        { id: 'duration', header: 'Duration', cell: ({ duration }) => `${rounded(duration)} ms` },
        { id: 'billed', header: 'Billed', cell: ({ billed }) => `${billed} ms` },
        { id: 'init', header: 'Init', cell: ({ init }) => (init === undefined ? '–' : `${rounded(init)} ms`) },
        { id: 'memory', header: 'Max memory', cell: ({ memory }) => (memory === undefined ? '–' : `${rounded(memory)} MB`) },
      ]}
    />
  );
}
