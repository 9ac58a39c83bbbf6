import Foundation
import QQEtcd
import Support
import SwiftProtobuf
import Testing

@Suite("The simulated cluster of etcd") struct SimulatedEtcdTests {
    private func put(_ key: String, _ value: Data, at server: RawGRPC) async throws -> RawGRPC.Answer {
        var request = Etcdserverpb_PutRequest()
        (request.key, request.value) = (Data(key.utf8), value)
        return try await server.call("etcdserverpb.KV", "Put", request.serializedBytes())
    }

    private func value(_ key: String, at server: RawGRPC) async throws -> Data? {
        var request = Etcdserverpb_RangeRequest()
        request.key = Data(key.utf8)
        let answer = try await server.call("etcdserverpb.KV", "Range", request.serializedBytes())
        return try Etcdserverpb_RangeResponse(serializedBytes: answer.bytes).kvs.first?.value
    }

    @Test("members of the simulated cluster share their keys, and elect another leader after a kill")
    func members() async throws {
        try await inSandbox { box in
            let cluster = try await SimulatedEtcd.start(in: box)
            let servers = try cluster.ports.map { try RawGRPC($0, in: box) }
            #expect(try await put("x", Data([1]), at: servers[0]).code == "OK")
            #expect(try await value("x", at: servers[2]) == Data([1]))
            await cluster.kill(0)
            try await waitUntil("another leader") { cluster.withStore { $0.leader } == 1 }
            #expect(try await put("x", Data([2]), at: servers[1]).code == "OK")
            try await cluster.restart(0)
            #expect(try await value("x", at: servers[0]) == Data([2]))
        }
    }

    /// The limit and the text are recorded (lines 93 and 94). The code for a message that is too large is that of the library here.
    @Test("a write without a quorum times out and can take effect later; a message above the transport's limit is refused")
    func failures() async throws {
        try await inSandbox { box in
            let cluster = try await SimulatedEtcd.start(in: box)
            cluster.patience = .milliseconds(50)
            let server = try RawGRPC(cluster.ports[0], in: box)
            #expect(try await put("big", Data(repeating: 120, count: 2_300_000), at: server).code != "OK")
            cluster.withStore { store in
                store.faults.keepsProposals = true
                store.isolate([1, 2])
            }
            let answer = try await put("q", Data([1]), at: server)
            #expect(answer.code == "UNAVAILABLE")
            #expect(answer.message == "etcdserver: request timed out")
            cluster.withStore { $0.join([1, 2]) }
            try await waitUntil("the write takes effect") { cluster.withStore { $0.revision } == 2 }
        }
    }
}
