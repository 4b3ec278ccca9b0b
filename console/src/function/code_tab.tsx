// The code of a function: its files, edited as a draft that survives a reload, deployed as a package.
// What somebody else deployed meanwhile is never overwritten unasked: the update names the revision it began from.

import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import ButtonDropdown from '@cloudscape-design/components/button-dropdown';
import Container from '@cloudscape-design/components/container';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Spinner from '@cloudscape-design/components/spinner';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import { useRef, useState } from 'react';

import type { Language, Mark } from '../editor/code_mirror';
import { useNotices } from '../notices';
import { download, EDITABLE_BYTES } from '../package/archive';
import { Dialog } from '../parts/dialog';
import { Editor } from '../parts/editor';
import { ago, bytes, moment } from '../parts/numbers';
import { Problem } from '../parts/problem';
import type { Code } from './code';
import type { Section } from './configuration_tab';
import { Files } from './files';
import { LayersSection } from './layers_section';
import { Result, type Show } from './result';
import { type Runs, useNewest } from './runs';
import { RuntimeSection } from './runtime_section';

interface Properties {
  section: Section;
  code: Code;
  open: string | undefined;
  setOpen: (name: string) => void;
  mark: Mark | undefined;
  show: Show;
  runs: Runs;
  test: () => void;
}

export function CodeTab({ section, code, open, setOpen, mark, show, runs, test }: Properties) {
  const notices = useNotices();
  const [asking, setAsking] = useState(false);
  const upload = useRef<HTMLInputElement>(null);
  const result = useNewest(runs);
  const configuration = section.document.Configuration;
  const name = configuration.FunctionName;
  const text = open === undefined ? undefined : code.text(open);
  const unsaved = code.changed.size + code.deleted.size;
  const save = () => {
    if (unsaved > 0 && !code.deploying) void code.deploy();
  };
  const act = (id: string) => {
    if (id === 'new') setAsking(true);
    if (id === 'delete' && open !== undefined) code.remove(open);
    if (id === 'discard') code.discard();
    if (id === 'upload') upload.current?.click();
    if (id === 'download') code.zip().then((zip) => download(`${name}.zip`, zip, 'application/zip'), (problem: unknown) => notices.failed('Not downloaded', problem));
  };
  return (
    <SpaceBetween size="l">
      {code.conflict && (
        <Alert
          type="warning"
          header="Somebody else deployed this function meanwhile"
          action={
            <SpaceBetween direction="horizontal" size="xs">
              <Button onClick={code.discard}>Take theirs, drop mine</Button>
              <Button onClick={() => void code.deploy(true)}>Deploy mine over it</Button>
            </SpaceBetween>
          }
        >
          Nothing was overwritten: your changes are kept in this browser. They began from another package than the one that is deployed now.
        </Alert>
      )}
      <Container
        header={
          <Header
            variant="h2"
            description={unsaved > 0 ? <StatusIndicator type="pending">Changes not deployed</StatusIndicator> : <StatusIndicator type="success">Deployed</StatusIndicator>}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <ButtonDropdown
                  items={[
                    { id: 'new', text: 'New file', disabled: code.files === undefined },
                    { id: 'delete', text: `Delete ${open ?? 'file'}`, disabled: open === undefined || code.deleted.has(open) },
                    { id: 'discard', text: 'Discard changes', disabled: unsaved === 0 },
                    { id: 'upload', text: 'Upload a .zip file', disabled: unsaved > 0, disabledReason: 'Deploy or discard the changes first.' },
                    { id: 'download', text: 'Download as .zip', disabled: code.directory !== undefined },
                  ]}
                  onItemClick={({ detail }) => act(detail.id)}
                >
                  File
                </ButtonDropdown>
                <Button loading={runs.running} onClick={test}>Test</Button>
                <Button variant="primary" disabled={unsaved === 0} loading={code.deploying} onClick={save}>Deploy</Button>
              </SpaceBetween>
            }
          >
            Code source
          </Header>
        }
      >
        <input
          ref={upload}
          type="file"
          accept=".zip"
          hidden
          aria-label="Upload a .zip file"
          onChange={({ target }) => {
            const file = target.files?.[0];
            target.value = '';
            if (file) void code.upload(file);
          }}
        />
        <SpaceBetween size="m">
          <Problem error={code.error} retry={code.reload} header="The package cannot be shown" />
          {code.files === undefined && code.error === undefined && code.locked === undefined && code.directory === undefined && <Box textAlign="center"><Spinner /></Box>}
          {code.locked !== undefined && (
            <Alert type="info" header="This package cannot be edited here" action={<Button onClick={() => act('download')}>Download</Button>}>
              {code.locked} Download it, or upload another.
            </Alert>
          )}
          {code.directory !== undefined && (
            <Alert type="info" header="Its code is a directory of this machine">
              {code.directory} is run as it is, and edited there: the next invocation sees what changed.
            </Alert>
          )}
          {!code.kept && <Alert type="warning">This browser has no room to keep the changes: a reload loses them.</Alert>}
          {code.files && (
            <div className="workbench">
              <Files names={code.names} open={open} changed={code.changed} deleted={code.deleted} choose={setOpen} />
              <div className="workbench-text">
                {open === undefined ? (
                  <div className="workbench-empty">Choose a file.</div>
                ) : text === undefined ? (
                  <div className="workbench-empty">
                    <SpaceBetween size="s">
                      <span>{code.deleted.has(open) ? 'This file goes with the next deployment.' : whatOf(code.files.get(open)?.bytes.length ?? 0)}</span>
                      <Button onClick={() => download(open.split('/').pop() ?? open, code.files?.get(open)?.bytes ?? '')}>Download</Button>
                    </SpaceBetween>
                  </div>
                ) : (
                  <Editor
                    document={`${open} ${code.turn}`}
                    text={text}
                    language={languageOf(open)}
                    label={open}
                    mark={mark}
                    onChange={(next) => code.edit(open, next)}
                    onSave={save}
                    onRun={test}
                  />
                )}
              </div>
            </div>
          )}
        </SpaceBetween>
      </Container>
      {runs.runs[0] && (
        <div ref={result} className="result">
          <Result run={runs.runs[0]} show={show} busy={runs.running} replay={() => runs.runs[0] && void runs.start(runs.runs[0].event, runs.runs[0].payload, runs.runs[0].type, runs.runs[0].qualifier, configuration.CodeSha256)} />
        </div>
      )}
      <Container header={<Header variant="h2">Code properties</Header>}>
        <KeyValuePairs
          columns={3}
          items={[
            { label: 'Package size', value: bytes(configuration.CodeSize) },
            { label: 'SHA-256', value: <span style={{ overflowWrap: 'anywhere' }}>{configuration.CodeSha256}</span> },
            { label: 'Last modified', value: <span title={configuration.LastModified}>{ago(moment(configuration.LastModified))}</span> },
          ]}
        />
      </Container>
      <RuntimeSection {...section} />
      <LayersSection {...section} />
      {asking && (
        <NewFile
          taken={code.names}
          close={() => setAsking(false)}
          create={(file) => {
            code.edit(file, '');
            setOpen(file);
            setAsking(false);
          }}
        />
      )}
    </SpaceBetween>
  );
}

function NewFile({ taken, close, create }: { taken: string[]; close: () => void; create: (name: string) => void }) {
  const [name, setName] = useState('');
  const words = name.split('/');
  const wrong = name.trim() === '' || taken.includes(name) || words.some((word) => word === '' || word === '.' || word === '..');
  return (
    <Dialog title="New file" word="Create" wrong={wrong} close={close} submit={() => create(name)}>
      <FormField label="Name of the file" description="With folders, if it is in some">
        <Input placeholder="lib/helper.mjs" value={name} spellcheck={false} onChange={({ detail }) => setName(detail.value)} />
      </FormField>
    </Dialog>
  );
}

/** Of a file that is no text to be edited here. */
function whatOf(length: number): string {
  return length > EDITABLE_BYTES ? `A file of ${bytes(length)}: up to ${bytes(EDITABLE_BYTES)} are edited here.` : `A binary file of ${bytes(length)}.`;
}

function languageOf(name: string): Language {
  if (/\.(js|mjs|cjs|ts|jsx|tsx)$/.test(name)) return 'javascript';
  return name.endsWith('.json') ? 'json' : 'text';
}

