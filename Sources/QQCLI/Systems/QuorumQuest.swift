import QQCore
import QQGRPC
import QQQuorumQuest

extension SystemDescription {
    /// Quorum Quest, over gRPC.
    static let quorumQuest = SystemDescription(
        url: .quorumQuest, displayName: "Quorum Quest",
        identity: { Identity.uuid() },
        flags: { [Flags.maxMessage.erased] },
        capabilities: { QuorumQuestCoordinator.capabilities },
        documentation: {
            SystemDocumentation(
                urls: "`qq://`*HOST*[`:`*PORT*], `qqs://`...",
                meaning: """
                    Quorum Quest: the election *NAME* is *SERVICE*[`/`*DOMAIN*], in the domain `production` by default. See qq-quorum-quest(7).
                    """,
                protocol: "gRPC, quorum.quest.api.v1", testedAgainst: ["Quorum Quest on Redis 7"],
                notes: ["id": "On Quorum Quest it is a random UUID."],
                endpointFields: [
                    .init("services", .list, optional: true, "Quorum Quest: the names of the services that the server reports.")
                ],
                manual: { QuorumQuestManual.page })
        },
        makeCoordinator: { input in
            let server = input.url
            return QuorumQuestCoordinator(
                server: server, settings: GRPCSettings(input.invocation, server), clock: input.loop, requestTimeout: input.requestTimeout
            ) { name in
                // A grant that cannot be read does not prove that this user leads.
                (try? GrantStore().load(name: name, server: server)) ?? nil
            }
        })
}
