#if GRPC
    internal import QQCore
    internal import QQGRPC
    internal import QQRaftLock

    extension SystemConnector {
        /// RaftLock, over gRPC. Backoff and jitter are those of its Go client.
        package static let raftLock: SystemConnector = SystemConnector(
            url: .raftLock, displayName: "RaftLock",
            backoff: BackoffRange(initial: .milliseconds(100), maximum: .seconds(5)), jitter: 0.1,
            retriedCodes: { LockErrorCode.usuallyRetried },
            capabilities: { RaftLockCoordinator.capabilities },
            connect: { (input) throws(CoordinationError) in
                try input.access.refuseLogins(of: raftLock, because: GRPCSettings.hasNoLogins)
                return RaftLockCoordinator(
                    server: input.access.url, settings: GRPCSettings(input.access), clock: input.clock, executor: input.executor,
                    requestTimeout: input.requestTimeout, priority: input.priority, followsRedirects: input.access.followsRedirects,
                    redirected: input.redirected)
            })
    }
#endif
