// As whom and for which region the console asks. Keys are kept for this tab alone, and only where somebody gave some.

export interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
}

const KEYS = 'lambkin.keys';
const REGION = 'lambkin.region';
/** Any credentials will do where lambkin verifies no signatures. */
const ANY: Keys = { accessKeyId: 'console', secretAccessKey: 'console' };

export const REGIONS = [
  'us-east-1', 'us-east-2', 'us-west-1', 'us-west-2', 'ca-central-1', 'sa-east-1',
  'eu-central-1', 'eu-north-1', 'eu-south-1', 'eu-west-1', 'eu-west-2', 'eu-west-3',
  'ap-northeast-1', 'ap-northeast-2', 'ap-south-1', 'ap-southeast-1', 'ap-southeast-2',
];

export function keys(): Keys {
  const kept = sessionStorage.getItem(KEYS);
  return kept === null ? ANY : (JSON.parse(kept) as Keys);
}

export function keepKeys(given: Keys): void {
  sessionStorage.setItem(KEYS, JSON.stringify(given));
}

export function region(): string {
  return localStorage.getItem(REGION) ?? 'us-east-1';
}

export function keepRegion(name: string): void {
  localStorage.setItem(REGION, name);
}
