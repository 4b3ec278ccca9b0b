// One invocation as AWS's console shows it: what it returned, a summary, its log; an error with its stack.

import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import Header from '@cloudscape-design/components/header';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import SpaceBetween from '@cloudscape-design/components/space-between';

import { download } from '../package/archive';
import { Problem } from '../parts/problem';
import { frameOf } from './report';
import type { Run } from './runs';

export type Show = (file: string, line: number, column: number) => void;

/** More is offered as a download: a page of 6 MB does not scroll. */
const SHOWN = 200_000;

interface Thrown {
  errorType?: string;
  errorMessage?: string;
  trace?: string[];
}

export function Result({ run, show, replay, busy }: { run: Run; show: Show; replay: () => void; busy: boolean }) {
  const { invoked, report } = run;
  const failed = run.refusal !== undefined || invoked?.error !== undefined;
  const milliseconds = (value: number | undefined) => (value === undefined ? '–' : `${value} ms`);
  const megabytes = (value: number | undefined) => (value === undefined ? '–' : `${value} MB`);
  const title = run.refusal !== undefined ? 'Not invoked' : run.type === 'Event' ? 'Event accepted' : failed ? 'Executing function: failed' : 'Executing function: succeeded';
  return (
    <Container
      header={
        <Header
          variant="h2"
          description={`${run.event} · ${new Date(run.at).toLocaleTimeString()}`}
          actions={<Button iconName="redo" loading={busy} onClick={replay}>Replay</Button>}
        >
          Execution result
        </Header>
      }
    >
      <SpaceBetween size="l">
        {run.refusal !== undefined ? (
          <Problem error={run.refusal} header={title} />
        ) : (
          <Alert type={failed ? 'error' : 'success'} header={title} statusIconAriaLabel={failed ? 'Failed' : 'Succeeded'}>
            {run.type === 'Event' ? 'It waits in the function’s queue, and runs as soon as there is room.' : `The answer came after ${run.took} ms.`}
          </Alert>
        )}
        {invoked && run.type === 'RequestResponse' && (failed ? <Failure payload={invoked.payload} show={show} /> : <Returned payload={invoked.payload} />)}
        {invoked && (
          <section aria-label="Summary">
            <Box variant="h3" padding={{ bottom: 'xs' }}>Summary</Box>
            <KeyValuePairs
              columns={4}
              items={[
                { label: 'Request ID', value: invoked.requestId },
                { label: 'Duration', value: milliseconds(report.duration) },
                { label: 'Billed duration', value: milliseconds(report.billed) },
                { label: 'Init duration', value: report.init === undefined ? 'warm' : milliseconds(report.init) },
                { label: 'Memory size', value: megabytes(report.memorySize) },
                { label: 'Max memory used', value: megabytes(report.maxMemory) },
                { label: 'Executed version', value: invoked.executedVersion },
                { label: 'Code SHA-256', value: <span style={{ overflowWrap: 'anywhere' }}>{run.codeSha256}</span> },
              ]}
            />
          </section>
        )}
        {invoked?.log && (
          <section aria-label="Log output">
            <Box variant="h3" padding={{ bottom: 'xs' }}>Log output <Box variant="small" display="inline">the last 4 KB</Box></Box>
            <Log text={invoked.log} show={show} />
          </section>
        )}
      </SpaceBetween>
    </Container>
  );
}

function Returned({ payload }: { payload: string }) {
  const long = payload.length > SHOWN;
  return (
    <section aria-label="Response">
      <Box variant="h3" padding={{ bottom: 'xs' }}>Response</Box>
      <pre className="output" tabIndex={0} data-testid="response">{long ? `${payload.slice(0, SHOWN)}…` : indented(payload)}</pre>
      {long && (
        <Box padding={{ top: 'xs' }}>
          The beginning of {payload.length.toLocaleString()} characters.{' '}
          <Button variant="inline-link" onClick={() => download('response.json', payload, 'application/json')}>Download all of it</Button>
        </Box>
      )}
    </section>
  );
}

function Failure({ payload, show }: { payload: string; show: Show }) {
  let thrown: Thrown;
  try {
    thrown = JSON.parse(payload) as Thrown;
  } catch {
    return <Returned payload={payload} />;
  }
  return (
    <section aria-label="Error">
      <Box variant="h3" padding={{ bottom: 'xs' }}>Error</Box>
      <div className="output" tabIndex={0} data-testid="response">
        <div className="trouble">{thrown.errorType ? `${thrown.errorType}: ` : ''}{thrown.errorMessage}</div>
        {(thrown.trace ?? []).slice(1).map((line, index) => <Line key={index} text={line} show={show} />)}
      </div>
    </section>
  );
}

/** A line of a stack: where it is in the package, it leads there. */
function Line({ text, show }: { text: string; show: Show }) {
  const { file, line, column } = frameOf(text);
  if (file === undefined || line === undefined) return <div>{text}</div>;
  return (
    <div>
      <button type="button" onClick={() => show(file, line, column ?? 1)}>{text}</button>
    </div>
  );
}

const PLATFORM = /^(START|END|REPORT|INIT_START|INIT_REPORT|EXTENSION|XRAY) /;

export function Log({ text, show }: { text: string; show?: Show }) {
  return (
    <div className="output" tabIndex={0} role="log" data-testid="log">
      {text.trimEnd().split('\n').map((line, index) => {
        const kind = PLATFORM.test(line) ? 'platform' : /\tERROR\t|"level":"ERROR"/.test(line) ? 'trouble' : undefined;
        if (show && /^\s+at /.test(line)) return <Line key={index} text={line} show={show} />;
        return <div key={index} className={kind}>{line || ' '}</div>;
      })}
    </div>
  );
}

function indented(payload: string): string {
  try {
    return JSON.stringify(JSON.parse(payload), null, 2);
  } catch {
    return payload;
  }
}
