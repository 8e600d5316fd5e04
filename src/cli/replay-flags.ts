/** What the command line of `culvert replay` says. */
export interface ReplayFlags {
  readonly config?: string;
  readonly adopt?: true;
  readonly provider?: string;
  readonly consumer?: string;
  readonly providerIn?: string;
  readonly network?: string;
  readonly natPool?: string;
  readonly backendNet?: string;
  readonly linkid?: number;
  readonly dialect?: 'azure' | 'aws' | 'gcp' | 'custom';
  readonly tlv?: readonly { readonly type: number; readonly value: Uint8Array }[];
  readonly crc32c?: true;
  /** false with `--no-proxy`. */
  readonly proxy: boolean;
  readonly timeouts?: 'azure' | 'rfc' | 'capture';
  readonly midstream?: 'drop' | 'translate';
  readonly fastOpen?: 'strip' | 'carry';
  readonly seed?: number;
  readonly fixChecksums?: true;
  readonly check?: true;
  readonly json?: true;
  readonly quiet?: true;
}

export const DEFAULT_NAT_POOL = '198.18.0.0/29';
export const DEFAULT_BACKEND_NET = '198.19.0.0/16';
