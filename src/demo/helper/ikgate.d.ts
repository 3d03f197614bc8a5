/** Types of the ikgate client. */

/** Codes of the gateway's errors; `cargo test` compares them with the gateway. */
type GatewayErrorCode =
  | "bad_request"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "no_route"
  | "method_not_allowed"
  | "request_timeout"
  | "too_large"
  | "throttled"
  | "internal"
  | "upstream_auth"
  | "upstream_bad"
  | "upstream_unreachable"
  | "upstream_busy"
  | "shutting_down"
  | "upstream_timeout";

/** Those codes, and the codes of the errors that the client finds itself. */
export type IkgateErrorCode =
  | GatewayErrorCode
  /** The token function returned something that is not a token, or in a page a caller key. No request
   * was sent. */
  | "token"
  /** The gateway is up, but the page's origin is probably not in `cors.allowed_origins`. Or `baseUrl`
   * is another server. */
  | "cors"
  /** No response came, or only a part of one. */
  | "network"
  /** `timeoutMs` is over. */
  | "timeout"
  /** The response is not from ikgate, or has a code that this version of the client does not know. */
  | "unknown";

export interface IkgateErrorDetails {
  cause?: unknown;
  /** HTTP status; absent if there was no response. */
  status?: number | undefined;
  /** Text for people: what to do. */
  help?: string | undefined;
  /** Id by which the gateway's operator finds the request in the log. */
  requestId?: string | undefined;
  /** Wait in milliseconds before the next request; absent if a retry cannot succeed. */
  retryAfterMs?: number | undefined;
}

/** Failed call. */
export class IkgateError extends Error {
  constructor(code: IkgateErrorCode, message: string, details?: IkgateErrorDetails);
  readonly code: IkgateErrorCode;
  readonly status: number | undefined;
  readonly help: string | undefined;
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;
}

/** Tag that ImageKit or one of its extensions recognised in an image. */
export interface AITag {
  name: string;
  confidence: number;
  source: string;
  [field: string]: unknown;
}

/** Version of a file: ImageKit's FileDetails. Fields that are not declared here are kept, too.
 * ImageKit promises no field; those without `?` are in every response that it documents. */
export interface Version {
  fileId: string;
  /** `file` is the current version. */
  type: "file" | "file-version";
  name: string;
  /** Path with a leading slash. */
  filePath: string;
  versionInfo: { id: string; name: string; [field: string]: unknown };
  url: string;
  /** Size in bytes. */
  size: number;
  /** Time in ISO 8601, UTC. */
  createdAt: string;
  updatedAt?: string;
  tags?: string[] | null;
  AITags?: AITag[] | null;
  isPrivateFile?: boolean;
  isPublished?: boolean;
  hasAlpha?: boolean;
  /** Area as `x,y,width,height`, in pixels. */
  customCoordinates?: string | null;
  thumbnail?: string;
  fileType?: "image" | "non-image";
  mime?: string;
  /** Width in pixels; absent if the file has none. */
  width?: number;
  height?: number;
  bitRate?: number;
  /** Duration of a video in seconds. */
  duration?: number;
  audioCodec?: string;
  videoCodec?: string;
  customMetadata?: Record<string, unknown>;
  selectedFieldsSchema?: Record<string, unknown>;
  embeddedMetadata?: Record<string, unknown> | null;
  description?: string;
  [field: string]: unknown;
}

/** Successful response. `data` is the same object for as long as the file is unchanged, and all
 * callers share it: read it only. */
export interface Answer<T> {
  readonly data: T;
  readonly etag?: string | undefined;
  /** Age in seconds of the gateway's copy. */
  readonly age?: number | undefined;
  /** `Cache-Status` of RFC 9211. */
  readonly cacheStatus?: string | undefined;
  readonly requestId?: string | undefined;
  /** Requests left, and seconds until the quota is full again. */
  readonly rateLimit?: { readonly left: number; readonly resetSeconds: number } | undefined;
}

export interface IkgateOptions {
  /** URL of the gateway, with its base path: `http` or `https`. In a page, it may be a path of the
   * page's own origin, such as `/imagekit`. It has no user, query or fragment. */
  baseUrl: string;
  /** Returns the current token, without `Bearer `; called once a call. Outside of browsers it may be a
   * caller key. `null` is an anonymous call, to which a private file does not exist. Any other value
   * is an error with the code `token`. Without this function, all calls are anonymous. */
  token?: () => string | null | Promise<string | null>;
  /** Time limit of a call in milliseconds, its retries included: above 0; 30,000 by default. */
  timeoutMs?: number;
  /** Retries after a 429 or a 503 that says how long to wait: a whole number from 0; 1 by default. */
  retries?: number;
  /** Longest wait in milliseconds before a retry; 10,000 by default. After a response that asks for
   * a longer wait, the call fails at once. */
  maxRetryWaitMs?: number;
}

export interface CallOptions {
  /** Ends this call, but not other calls that share its request. */
  signal?: AbortSignal | undefined;
  /** Time limit of this call in milliseconds: above 0. */
  timeoutMs?: number | undefined;
}

/** Client of one gateway. Calls for the same URL at the same time share one request. */
export class Ikgate {
  /** Throws a TypeError that names the option which is missing, wrong or unknown. */
  constructor(options: IkgateOptions);
  /** Fetches all versions of a file, in ImageKit's order: usually the newest first. Rejects with a
   * TypeError that names an option which is wrong or unknown. */
  versions(fileId: string, options?: CallOptions): Promise<Answer<Version[]>>;
  /** Fetches one version of a file. */
  version(fileId: string, versionId: string, options?: CallOptions): Promise<Answer<Version>>;
}
