import QQQuorumQuest
import Support
import SwiftProtobuf
import Testing

@Suite("Quorum Quest test server") struct QuorumQuestServerTests {
    private func acquire(_ client: RawGRPC, _ id: String, ttl: Int32 = 10) async throws -> (code: String, isLeader: Bool) {
        var request = Quorum_Quest_Api_V1_TryAcquireLockRequest()
        (request.service, request.domain, request.clientID, request.ttl) = ("jobs", "production", id, ttl)
        let answer = try await client.call(QuorumQuestServer.service, "TryAcquireLock", request.serializedBytes())
        return (answer.code, try Quorum_Quest_Api_V1_TryAcquireLockResponse(serializedBytes: answer.bytes).isLeader)
    }

    private func release(_ client: RawGRPC, _ id: String) async throws {
        var request = Quorum_Quest_Api_V1_ReleaseLockRequest()
        (request.service, request.domain, request.clientID) = ("jobs", "production", id)
        _ = try await client.call(QuorumQuestServer.service, "ReleaseLock", request.serializedBytes())
    }

    @Test("the Quorum Quest test server lists its services under both names of reflection")
    func reflection() async throws {
        try await inSandbox { box in
            let server = try await QuorumQuestServer.start(in: box)
            let client = try RawGRPC(server.port, in: box)
            for version in ["v1", "v1alpha"] { #expect(try await client.services(version).contains(QuorumQuestServer.service)) }
        }
    }

    @Test("the Quorum Quest test server keeps its port and its store over a kill and a stop")
    func restart() async throws {
        try await inSandbox { box in
            let server = try await QuorumQuestServer.start(in: box)
            let port = server.port
            let client = try RawGRPC(port, in: box)
            #expect(try await acquire(client, "alice").isLeader)
            for killed in [true, false] {
                if killed { await server.kill() } else { await server.stop() }
                #expect(try await acquire(RawGRPC(port, waits: false, in: box), "alice").code == "UNAVAILABLE")
                try await server.start()
                #expect(server.port == port && server.holder("jobs") == "alice")
                #expect(try await acquire(RawGRPC(port, in: box), "alice").isLeader)
            }
        }
    }

    @Test("the Quorum Quest test server ends connections at their age and accepts new ones")
    func age() async throws {
        try await inSandbox { box in
            var settings = GRPCServerSettings()
            settings.connectionAge = .milliseconds(100)
            let server = try await QuorumQuestServer.start(settings, in: box)
            let client = try RawGRPC(server.port, in: box)
            let end = ContinuousClock.now + waitingTime
            while server.connections < 3, .now < end {
                let answer = try await client.call(QuorumQuestServer.service, "TryAcquireLock", [])
                // A call is lost if its connection ends, as with the real server; this client does not retry.
                #expect(["OK", "UNAVAILABLE"].contains(answer.code))
            }
            #expect(server.connections >= 3)
        }
    }

    @Test("the Quorum Quest test server speaks TLS and can require a client's certificate")
    func security() async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            for verifies in [false, true] {
                var settings = GRPCServerSettings()
                settings.tls = .init(certificates, verifiesClients: verifies)
                let server = try await QuorumQuestServer.start(settings, in: box)
                #expect(server.url == "qqs://localhost:\(server.port)")
                #expect(try await acquire(RawGRPC(server.port, waits: false, tls: certificates, in: box), "alice").isLeader != verifies)
                let known = try RawGRPC(server.port, waits: false, tls: certificates, showsCertificate: true, in: box)
                #expect(try await acquire(known, "alice").isLeader)
            }
        }
    }

    @Test("the Quorum Quest test server with a hung store answers false and grants the lease when the store recovers")
    func hung() async throws {
        try await inSandbox { box in
            let server = try await QuorumQuestServer.start(in: box)
            let client = try RawGRPC(server.port, in: box)
            server.setStore(.hung(acquire: .milliseconds(100), others: .milliseconds(50)))
            #expect(try await acquire(client, "alice").isLeader == false)
            server.setStore(.alive)
            #expect(server.holder("jobs") == "alice")
            // Requests that arrived in this order are carried out in this order.
            server.forget("jobs")
            server.setStore(.hung(acquire: .milliseconds(100), others: .milliseconds(50)))
            #expect(try await acquire(client, "bob").isLeader == false)
            try await release(client, "bob")
            server.setStore(.alive)
            #expect(server.holder("jobs") == nil)
        }
    }

    @Test("the Quorum Quest test server can lose answers, refuse calls and delay them")
    func faults() async throws {
        try await inSandbox { box in
            let server = try await QuorumQuestServer.start(in: box)
            let client = try RawGRPC(server.port, in: box)
            server.change { $0.unavailable["TryAcquireLock"] = 1 }
            #expect(try await acquire(client, "alice").code == "UNAVAILABLE")
            server.change { $0.lost["TryAcquireLock"] = 1 }
            let lost = try await client.call(QuorumQuestServer.service, "TryAcquireLock", [], within: .seconds(5))
            #expect(lost.code == "DEADLINE_EXCEEDED" && server.holder("", "") == "")
            server.change { $0.delay = .milliseconds(100) }
            let begin = ContinuousClock.now
            #expect(try await acquire(client, "alice").isLeader)
            #expect(.now - begin >= .milliseconds(100))
        }
    }
}
