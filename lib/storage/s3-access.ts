// What a signed request to the bucket has to know. Most of it stands in the options and in the environment; the SDK, whose loading
// takes longer than a read, finds the rest.
import { type Credentials, credentialsOfEnvironment, mayChangeAddresses } from './aws-environment.ts';
import { baseUrlOf } from './s3-address.ts';
import type { S3DriverOptions } from './s3-client.ts';

export type Place = {
  region: string;
  credentials: Credentials;
  /** The URL that keys are appended to. */
  base: URL;
  /** By how much the server's clock is ahead of this one. */
  clockOffsetMs: number;
};

/** What the SDK has found out. */
export type SdkAccess = {
  config: { credentials: () => Promise<Credentials>; systemClockOffset: number };
  baseUrl(): Promise<URL>;
};

/** Names that stand for another region, or for a property of its address. */
const PSEUDO_REGION = /^fips-|-fips$|^aws-global$/;

export class S3Access {
  readonly #options: S3DriverOptions;
  readonly #sdk: { load: () => Promise<SdkAccess>; loaded: () => SdkAccess | undefined };
  #region: Promise<string> | undefined;
  #base: { region: string; url: URL } | undefined;

  /** @param sdk `load` loads it; `loaded` gives it where something has loaded it */
  constructor(options: S3DriverOptions, sdk: { load: () => Promise<SdkAccess>; loaded: () => SdkAccess | undefined }) {
    this.#options = options;
    this.#sdk = sdk;
  }

  async region(): Promise<string> {
    this.#region ??= findRegion(this.#options.region);
    return await this.#region;
  }

  /** Every later request is for this region. */
  useRegion(region: string): void {
    this.#region = Promise.resolve(region);
  }

  async place(): Promise<Place> {
    const region = await this.region();
    const [credentials, base] = await Promise.all([this.#credentials(), this.#baseUrl(region)]);
    return { region, credentials, base, clockOffsetMs: this.#sdk.loaded()?.config.systemClockOffset ?? 0 };
  }

  async #credentials(): Promise<Credentials> {
    return (
      this.#options.credentials ??
      credentialsOfEnvironment() ??
      (await this.#sdk.load().then(({ config }) => config.credentials()))
    );
  }

  async #baseUrl(region: string): Promise<URL> {
    if (this.#base?.region !== region) {
      const url = baseUrlOf(this.#options, region, mayChangeAddresses()) ?? (await (await this.#sdk.load()).baseUrl());
      this.#base = { region, url };
    }
    return this.#base.url;
  }
}

async function findRegion(configured: string | undefined): Promise<string> {
  const region = configured ?? process.env.AWS_REGION;
  if (region && !PSEUDO_REGION.test(region)) return region;
  return await (await import('./s3-client.ts')).regionOfSdk(configured);
}
