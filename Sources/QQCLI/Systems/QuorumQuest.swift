import QQCore

import struct LeaderElection.ConnectorInput
import struct LeaderElection.SystemConnector

extension SystemDescription {
    /// Quorum Quest, over gRPC.
    static let quorumQuest = SystemDescription(
        connector: .quorumQuest,
        flags: { [Flags.maxMessage.erased] },
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
        makeCoordinator: { (input) throws(CoordinationError) in
            let server = input.url
            var settings = ConnectorInput(input, for: .quorumQuest, .grpc(input.invocation, input.choice))
            // A grant that cannot be read does not prove that this user leads.
            settings.savedGrant = { name in (try? GrantStore().load(name: name, server: server)) ?? nil }
            return try SystemConnector.quorumQuest.coordinator(settings)
        })
}
