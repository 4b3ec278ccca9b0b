// The files of a package, as a list by folder: which is open, which are changed.

interface Properties {
  names: string[];
  open: string | undefined;
  changed: Set<string>;
  deleted: Set<string>;
  choose: (name: string) => void;
}

export function Files({ names, open, changed, deleted, choose }: Properties) {
  const folders = new Map<string, string[]>();
  for (const name of names) {
    const folder = name.slice(0, name.lastIndexOf('/') + 1);
    folders.set(folder, [...(folders.get(folder) ?? []), name]);
  }
  const sorted = [...folders].sort(([a], [b]) => (a < b ? -1 : 1));
  return (
    <nav className="workbench-files" aria-label="Files">
      {sorted.map(([folder, files]) => (
        <div key={folder}>
          {folder && <span className="folder">{folder}</span>}
          <ul>
            {files.map((name) => (
              <li key={name}>
                <button
                  type="button"
                  className={deleted.has(name) ? 'gone' : undefined}
                  aria-current={name === open}
                  onClick={() => choose(name)}
                >
                  <span className="name">{name.slice(folder.length)}</span>
                  {changed.has(name) && <span className="unsaved" role="img" aria-label="not deployed" title="Not deployed">●</span>}
                </button>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}
