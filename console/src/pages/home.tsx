// The first page: how the machine is, and where to begin.

import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import ColumnLayout from '@cloudscape-design/components/column-layout';
import Container from '@cloudscape-design/components/container';
import ContentLayout from '@cloudscape-design/components/content-layout';
import Header from '@cloudscape-design/components/header';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import Link from '@cloudscape-design/components/link';
import ProgressBar from '@cloudscape-design/components/progress-bar';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';

import { BLUEPRINTS } from '../blueprints';
import { getAccountSettings } from '../client/lambda';
import { type Backlog, backlogs, machine as readMachine, queueLines } from '../client/own';
import { useLoaded } from '../load';
import { bytes } from '../parts/numbers';
import { Problem } from '../parts/problem';
import { follow, to } from '../router';

async function read() {
  const [machine, account, waiting, queues] = await Promise.all([readMachine(), getAccountSettings(), backlogs(), queueLines()]);
  return { machine, account, waiting, queues };
}

/** Taken from the queue is not running yet: there may be no room. */
const waitingOf = ({ backlog, waiting_for_retry: retried, in_flight: taken, since_start: { running } }: Backlog) =>
  backlog + retried + Math.max(0, taken - running);

export default function Home() {
  const { value, error, reload } = useLoaded(read, 'home', 5000);
  const backlog = value?.waiting.reduce((sum, each) => sum + waitingOf(each), 0) ?? 0;
  const messages = value?.queues.reduce((sum, queue) => sum + queue.visible + queue.delayed, 0) ?? 0;
  const used = value?.machine.memory_mb ? (100 * value.machine.memory_used_mb) / value.machine.memory_mb : 0;
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          description="The AWS Lambda API on this machine"
          actions={<Button variant="primary" href="#/create" onFollow={follow}>Create function</Button>}
        >
          Overview
        </Header>
      }
    >
      <SpaceBetween size="l">
        <Problem error={error} retry={() => void reload()} header="The overview cannot be read" />
        <Container header={<Header variant="h2">This machine</Header>}>
          <SpaceBetween size="l">
            <KeyValuePairs
              columns={4}
              items={[
                {
                  label: 'State',
                  value: error
                    ? <StatusIndicator type="error">Does not answer</StatusIndicator>
                    : <StatusIndicator type={value ? 'success' : 'loading'}>{value ? 'Up' : 'Asking'}</StatusIndicator>,
                },
                { label: 'Version', value: value ? `lambkin ${value.machine.version}` : '–' },
                { label: 'Functions', value: <Link href="#/functions" onFollow={follow} fontSize="body-m">{value?.account.AccountUsage.FunctionCount ?? '–'} in this region, {value?.machine.functions ?? '–'} in all</Link> },
                { label: 'Code', value: value ? bytes(value.account.AccountUsage.TotalCodeSize) : '–' },
                { label: 'Execution environments', value: value?.machine.environments ?? '–' },
                { label: 'Concurrency, unreserved', value: value?.account.AccountLimit.UnreservedConcurrentExecutions ?? '–' },
                { label: 'Events waiting', value: value ? backlog : '–' },
                { label: 'Messages in queues', value: value ? messages : '–' },
              ]}
            />
            {value?.machine.memory_mb && (
              <ProgressBar
                label="Memory of execution environments"
                value={Math.min(100, used)}
                additionalInfo={`${value.machine.memory_used_mb} MB of ${value.machine.memory_mb} MB`}
              />
            )}
            <div>
              <Box variant="awsui-key-label">Isolation</Box>
              <Box>{value?.machine.isolation ?? '–'}</Box>
            </div>
          </SpaceBetween>
        </Container>
        <Container header={<Header variant="h2" description="Code to begin with, for every generation of Node.js">Start from a blueprint</Header>}>
          <ColumnLayout columns={3} variant="text-grid">
            {BLUEPRINTS.map((blueprint) => (
              <div key={blueprint.id}>
                <Link variant="primary" href={`${to('create')}?blueprint=${blueprint.id}`} onFollow={follow}>{blueprint.title}</Link>
                <Box color="text-body-secondary">{blueprint.description}</Box>
              </div>
            ))}
          </ColumnLayout>
        </Container>
      </SpaceBetween>
    </ContentLayout>
  );
}
