// The layers: their versions, publishing one from a zip, deleting one. A version never changes, and its number is not given again.

import Button from '@cloudscape-design/components/button';
import FileUpload from '@cloudscape-design/components/file-upload';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useState } from 'react';

import { deleteLayerVersion, listAllLayerVersions, type NamedLayerVersion, publishLayerVersion } from '../client/lambda';
import { region } from '../client/session';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { base64 } from '../package/archive';
import { ChosenTable, useChoice } from '../parts/chosen_table';
import { ConfirmDelete } from '../parts/confirm_delete';
import { Dialog } from '../parts/dialog';
import { ago, moment } from '../parts/numbers';

export default function Layers() {
  const notices = useNotices();
  const layers = useLoaded(listAllLayerVersions, 'layers');
  const [dialog, setDialog] = useState<'publish' | 'delete'>();
  const choice = useChoice(layers, (item) => item.LayerVersionArn);
  const { chosen } = choice;
  const publish = async (name: string, description: string, file: File) => {
    const zip = base64(new Uint8Array(await file.arrayBuffer()));
    const { Version: version } = await publishLayerVersion(name, description, zip);
    notices.done(`Published version ${version} of ${name}.`);
    setDialog(undefined);
    await layers.reload();
  };
  const remove = async ({ name, Version: version }: NamedLayerVersion) => {
    await notices.act(`Deleted version ${version} of ${name}.`, `Version ${version} of ${name} is not deleted`, () => deleteLayerVersion(name, version));
    setDialog(undefined);
    await layers.reload();
  };
  return (
    <SpaceBetween size="l">
      <ChosenTable
        choice={choice}
        page
        title="Layers"
        noun="Layer version"
        nameOf={(item) => `version ${item.Version} of ${item.name}`}
        description={`Versions in ${region()}`}
        empty="No layers yet."
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button disabled={!chosen} onClick={() => setDialog('delete')}>Delete</Button>
            <Button variant="primary" onClick={() => setDialog('publish')}>Publish version</Button>
          </SpaceBetween>
        }
        columns={[
          { id: 'name', header: 'Name', sortingField: 'name', isRowHeader: true, cell: (item) => item.name },
          { id: 'version', header: 'Version', cell: (item) => item.Version },
          { id: 'description', header: 'Description', cell: (item) => item.Description || '–' },
          { id: 'arn', header: 'Version ARN', cell: (item) => item.LayerVersionArn },
          { id: 'created', header: 'Created', sortingField: 'CreatedDate', cell: (item) => <span title={item.CreatedDate}>{ago(moment(item.CreatedDate))}</span> },
        ]}
      />
      {dialog === 'publish' && <Publish name={chosen?.name ?? ''} close={() => setDialog(undefined)} publish={publish} />}
      {chosen && dialog === 'delete' && (
        <ConfirmDelete
          what={`version ${chosen.Version} of the layer ${chosen.name}`}
          consequence="Functions that have it go on with it; none can be given it any more."
          close={() => setDialog(undefined)}
          confirm={() => remove(chosen)}
        />
      )}
    </SpaceBetween>
  );
}

function Publish({ name: former, close, publish }: { name: string; close: () => void; publish: (name: string, description: string, file: File) => Promise<void> }) {
  const [name, setName] = useState(former);
  const [description, setDescription] = useState('');
  const [files, setFiles] = useState<File[]>([]);
  const [file] = files;
  const submit = async () => {
    if (file) await publish(name, description, file);
  };
  return (
    <Dialog title="Publish layer version" word="Publish" wrong={!file || !/^[a-zA-Z0-9-_]{1,64}$/.test(name)} close={close} submit={submit}>
      <FormField label="Layer name" description="That of a layer that there is makes its next version."><Input value={name} spellcheck={false} onChange={({ detail }) => setName(detail.value.trim())} /></FormField>
      <FormField label={<span>Version description <i>– optional</i></span>}><Input value={description} onChange={({ detail }) => setDescription(detail.value)} /></FormField>
      <FormField label="Package" description="A .zip file; what is below nodejs/node_modules can be required">
        <FileUpload
          value={files}
          accept=".zip"
          showFileSize
          onChange={({ detail }) => setFiles(detail.value)}
          i18nStrings={{ uploadButtonText: () => 'Choose a .zip file', dropzoneText: () => 'Drop a .zip file', removeFileAriaLabel: () => 'Remove the file', errorIconAriaLabel: 'Error', warningIconAriaLabel: 'Warning' }}
        />
      </FormField>
    </Dialog>
  );
}
