import type { MultipartUpload, StorageDriver } from '../../lib/storage/driver.ts';

type Multipart = 'createMultipart' | 'uploadPart' | 'listParts' | 'completeMultipart' | 'abortMultipart';

/** What simulated storage does with multipart uploads: no step of the benchmark makes one. */
export class WithoutMultipart implements Pick<StorageDriver, Multipart> {
  createMultipart(): Promise<MultipartUpload> {
    throw notSimulated();
  }

  uploadPart(): Promise<undefined> {
    throw notSimulated();
  }

  listParts(): Promise<undefined> {
    throw notSimulated();
  }

  completeMultipart(): Promise<boolean> {
    throw notSimulated();
  }

  abortMultipart(): Promise<void> {
    throw notSimulated();
  }
}

function notSimulated(): Error {
  return new Error('multipart uploads are not simulated');
}
