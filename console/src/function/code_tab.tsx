// The code of a function: its files, edited as a draft that survives a reload, deployed as a package.
// What somebody else deployed meanwhile is never overwritten unasked: the update names the revision it began from.

import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import ButtonDropdown from '@cloudscape-design/components/button-dropdown';
import Container from '@cloudscape-design/components/container';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import Modal from '@cloudscape-design/components/modal';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Spinner from '@cloudscape-design/components/spinner';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import { useRef, useState } from 'react';

import type { Configuration } from '../client/lambda';
import type { Language, Mark } from '../editor/code_mirror';
import { download } from '../package/archive';
import { Editor } from '../parts/editor';
import { bytes } from '../parts/numbers';
import { Problem } from '../parts/problem';
import type { Code } from './code';
import { Files } from './files';
import { Result, type Show } from './result';
import { type Runs, useNewest } from './runs';

interface Properties {
  configuration: Configuration;
  code: Code;
  open: string | undefined;
  setOpen: (name: string) => void;
  mark: Mark | undefined;
  show: Show;
  runs: Runs;
  test: () => void;
}

export function CodeTab({ configuration, code, open, setOpen, mark, show, runs, test }: Properties) {
  const [asking, setAsking] = useState(false);
  const upload = useRef<HTMLInputElement>(null);
  const result = useNewest(runs);
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
    if (id === 'download') void code.zip().then((zip) => download(`${name}.zip`, zip, 'application/zip'));
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
                    { id: 'upload', text: 'Upload a .zip file' },
                    { id: 'download', text: 'Download as .zip' },
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
          {code.files === undefined && code.error === undefined && code.tooLarge === undefined && <Box textAlign="center"><Spinner /></Box>}
          {code.tooLarge !== undefined && (
            <Alert type="info" header="This package is too large to be edited here" action={<Button onClick={() => act('download')}>Download</Button>}>
              It has {bytes(configuration.CodeSize)}. Download it, or upload another.
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
                      <span>{code.deleted.has(open) ? 'This file goes with the next deployment.' : `A binary file of ${bytes(code.files.get(open)?.bytes.length ?? 0)}.`}</span>
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
          columns={4}
          items={[
            { label: 'Package size', value: bytes(configuration.CodeSize) },
            { label: 'SHA-256', value: <span style={{ overflowWrap: 'anywhere' }}>{configuration.CodeSha256}</span> },
            { label: 'Runtime', value: configuration.Runtime },
            { label: 'Handler', value: configuration.Handler },
          ]}
        />
      </Container>
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
    <Modal
      visible
      onDismiss={close}
      header="New file"
      footer={<Box float="right"><Button variant="primary" disabled={wrong} onClick={() => create(name)}>Create</Button></Box>}
    >
      <Input
        autoFocus
        ariaLabel="Name of the file"
        placeholder="lib/helper.mjs"
        value={name}
        spellcheck={false}
        onChange={({ detail }) => setName(detail.value)}
        onKeyDown={({ detail }) => detail.key === 'Enter' && !wrong && create(name)}
      />
    </Modal>
  );
}

function languageOf(name: string): Language {
  if (/\.(js|mjs|cjs|ts|jsx|tsx)$/.test(name)) return 'javascript';
  return name.endsWith('.json') ? 'json' : 'text';
}

