// One function: its head and its tabs. What the tabs share stands here: the event to test with, the results.

import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import ContentLayout from '@cloudscape-design/components/content-layout';
import CopyToClipboard from '@cloudscape-design/components/copy-to-clipboard';
import Header from '@cloudscape-design/components/header';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Spinner from '@cloudscape-design/components/spinner';
import Tabs from '@cloudscape-design/components/tabs';
import { lazy, Suspense, useEffect, useState } from 'react';

import { deleteFunction, getFunction, LATEST } from '../client/lambda';
import type { Mark } from '../editor/code_mirror';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { dropDrafts } from '../package/draft';
import { forget } from '../pages/function_list';
import { ConfirmDelete } from '../parts/confirm_delete';
import { ago, moment } from '../parts/numbers';
import { Problem } from '../parts/problem';
import { go, to } from '../router';
import { AliasesTab } from './aliases_tab';
import { useCode } from './code';
import { CodeTab } from './code_tab';
import { ConfigurationTab } from './configuration_tab';
import { useRuns } from './runs';
import { State } from './state';
import { TestTab, useEvent } from './test_tab';
import { VersionsTab } from './versions_tab';

/** Charts are large, and not everybody's first thought. */
const MonitorTab = lazy(() => import('./monitor_tab'));

/** Milliseconds until a state that will change is read again. */
const SETTLING = 1000;

export default function FunctionPage({ name, tab }: { name: string; tab: string }) {
  const notices = useNotices();
  const loaded = useLoaded(() => getFunction(name), name);
  const runs = useRuns(name);
  const [event, setEvent] = useEvent(name);
  const [chosen, setChosen] = useState<string>();
  const [mark, setMark] = useState<Mark>();
  const [deleting, setDeleting] = useState(false);
  const code = useCode(name, () => void loaded.reload());

  const document = loaded.value;
  const configuration = document?.Configuration;
  // What is on its way is looked at again until it is there.
  useEffect(() => {
    if (configuration?.State !== 'Pending' && configuration?.LastUpdateStatus !== 'InProgress') return;
    const timer = setTimeout(() => void loaded.reload(), SETTLING);
    return () => clearTimeout(timer);
  }, [configuration, loaded.reload]);
  const open = chosen !== undefined && code.names.includes(chosen) ? chosen : entry(code.names, configuration?.Handler);
  const choose = (file: string) => {
    setChosen(file);
    setMark(undefined);
  };
  const show = (file: string, line: number, column: number) => {
    // In process mode a stack has paths of this machine, which end as the package's do.
    const found = code.names.find((each) => each === file || `/${file}`.endsWith(`/${each}`));
    if (found === undefined) return;
    setChosen(found);
    setMark({ line, column, turn: Date.now() });
    if (tab !== 'code') go(to('functions', name));
  };
  const test = () => void runs.start(event.name || 'Unnamed event', event.text, event.type, LATEST, configuration?.CodeSha256 ?? '');
  const testOn = (qualifier: string) => {
    setEvent({ ...event, qualifier });
    go(to('functions', name, 'test'));
  };
  const remove = async () => {
    try {
      await deleteFunction(name);
      dropDrafts(name);
      forget(new Set([name]));
      notices.done(`Deleted ${name}.`);
      go('#/functions');
    } catch (problem) {
      notices.failed(`${name} is not deleted`, problem);
      setDeleting(false);
    }
  };

  if (!document || !configuration) {
    if (loaded.error !== undefined) return <Problem error={loaded.error} retry={() => void loaded.reload()} />;
    return <Box textAlign="center" padding="xxl"><Spinner size="large" /></Box>;
  }
  return (
    <ContentLayout
      header={<Header variant="h1" actions={<Button onClick={() => setDeleting(true)}>Delete</Button>}>{name}</Header>}
    >
      <SpaceBetween size="l">
        <Problem error={loaded.error} retry={() => void loaded.reload()} header="The function cannot be read" />
        {configuration.State === 'Failed' && <Alert type="error" header="The function cannot run">{configuration.StateReason}</Alert>}
        {configuration.LastUpdateStatus === 'Failed' && <Alert type="error" header="The last update failed: what was before it runs">{configuration.LastUpdateStatusReason}</Alert>}
        <Container>
          <KeyValuePairs
            columns={4}
            items={[
              { label: 'State', value: <span title={configuration.StateReason ?? configuration.LastUpdateStatusReason}><State configuration={configuration} /></span> },
              { label: 'Runtime', value: `${configuration.Runtime}, ${configuration.MemorySize} MB, ${configuration.Timeout} s` },
              { label: 'Last modified', value: ago(moment(configuration.LastModified)) },
              {
                label: 'Function ARN',
                value: <CopyToClipboard variant="inline" textToCopy={configuration.FunctionArn} copyButtonAriaLabel="Copy the ARN" copySuccessText="Copied" copyErrorText="Not copied" />,
              },
            ]}
          />
        </Container>
        <Tabs
          activeTabId={tab}
          ariaLabel="Of this function"
          onChange={({ detail }) => go(detail.activeTabId === 'code' ? to('functions', name) : to('functions', name, detail.activeTabId))}
          tabs={[
            {
              id: 'code', label: 'Code',
              content: <CodeTab section={{ document, reload: loaded.reload }} code={code} open={open} setOpen={choose} mark={mark} show={show} runs={runs} test={test} />,
            },
            {
              id: 'test', label: 'Test',
              content: <TestTab name={name} codeSha256={configuration.CodeSha256} event={event} change={setEvent} runs={runs} show={show} />,
            },
            {
              id: 'monitor', label: 'Monitor',
              content: (
                <Suspense fallback={<Box textAlign="center" padding="l"><Spinner size="large" /></Box>}>
                  <MonitorTab configuration={configuration} />
                </Suspense>
              ),
            },
            {
              id: 'configuration', label: 'Configuration',
              content: <ConfigurationTab document={document} reload={loaded.reload} />,
            },
            { id: 'aliases', label: 'Aliases', content: <AliasesTab name={name} test={testOn} /> },
            { id: 'versions', label: 'Versions', content: <VersionsTab configuration={configuration} test={testOn} /> },
          ]}
        />
      </SpaceBetween>
      {deleting && (
        <ConfirmDelete
          what={`the function ${name}`}
          consequence="Its code, saved test events and waiting events go with it."
          close={() => setDeleting(false)}
          confirm={remove}
        />
      )}
    </ContentLayout>
  );
}

/** The file of the handler, else the first. */
function entry(names: string[], handler: string | undefined): string | undefined {
  const stem = handler?.slice(0, handler.lastIndexOf('.'));
  return names.find((name) => stem !== undefined && name.replace(/\.[cm]?js$/, '') === stem) ?? names[0];
}
