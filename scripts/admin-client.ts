import { type Client, createClient, type Interceptor } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { AdminService } from '../gen/proto/oo/admin/v1/admin_pb.ts';

/** The key in OO_API_KEY. Throws an Error in words where it holds none. */
export function readKey(): string | undefined {
  const key = process.env.OO_API_KEY?.trim() || undefined;
  if (key !== undefined && !/^[\x21-\x7e]+$/.test(key))
    throw new Error('OO_API_KEY holds no key: one is a single word');
  return key;
}

export function adminAt(url: string, key: string | undefined): Client<typeof AdminService> {
  const interceptors = key === undefined ? [] : [bearer(key)];
  return createClient(AdminService, createGrpcTransport({ baseUrl: url, interceptors, defaultTimeoutMs: 15_000 }));
}

function bearer(key: string): Interceptor {
  return (next) => (request) => {
    request.header.set('authorization', `Bearer ${key}`);
    return next(request);
  };
}
