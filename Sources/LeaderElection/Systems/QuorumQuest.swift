#if GRPC
    internal import QQCore
    package import QQGRPC
    internal import QQNetwork
    internal import QQQuorumQuest

    extension SystemConnector {
        /// Quorum Quest, over gRPC.
        package static let quorumQuest: SystemConnector = SystemConnector(
            url: .quorumQuest, displayName: "Quorum Quest",
            identity: { _ in Identity.uuid() },
            capabilities: { QuorumQuestCoordinator.capabilities },
            connect: { (input) throws(CoordinationError) in
                try input.access.refuseLogins(of: quorumQuest, because: GRPCSettings.hasNoLogins)
                return QuorumQuestCoordinator(
                    server: input.access.url, settings: GRPCSettings(input.access), clock: input.clock,
                    requestTimeout: input.requestTimeout, saved: input.savedGrant)
            })
    }

    extension GRPCSettings {
        static let hasNoLogins = "it has no logins apart from client certificates"

        /// Settings of Quorum Quest and RaftLock.
        package init(_ access: ServerAccess) {
            self.init(tls: .ifWanted(access))
            maximumMessage = access.maximumMessage
        }
    }
#endif
