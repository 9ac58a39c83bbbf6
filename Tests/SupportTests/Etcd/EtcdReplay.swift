import Foundation
import GRPCCore
import QQCore
import QQEtcd
import Support
import SwiftProtobuf

/// Plays the recorded calls to an `EtcdStore`, in their order, and compares the answers.
struct EtcdReplay {
    /// Why a row is not played.
    enum Skip: String, CaseIterable {
        case note = "a note, with an action or a measurement: no call"
        case http = "HTTP beside gRPC, which qq does not ask for"
        case services = "the lock and election services, which qq does not call: their effects are hidden steps"
        case health = "grpc.health.v1, which says SERVING whatever happens"
        case transport = "the connection's or the message's size: not the store's"
        case ownDeadline = "the recorder's own deadline ended the call"
    }

    /// The recorder's or an `etcdctl`'s call.
    struct CallID: Hashable {
        var scenario: String
        var client: String?
        var stream: Int64
    }

    /// A call that is under way.
    enum Call {
        case answered(Result<any Message, EtcdServerError>)
        /// The number of the store's stream, and answers that were not compared yet.
        case watch(Int, [Etcdserverpb_WatchResponse])
        case keepAlive(EtcdStore.Caller, [Result<Etcdserverpb_LeaseKeepAliveResponse, EtcdServerError>])
    }

    var store = EtcdStore()
    /// The members by their roles.
    var places: [String: Int] = [:]
    /// The present tokens, by user.
    var tokens: [String: String] = [:]
    private var calls: [CallID: Call] = [:]

    private(set) var played = 0
    /// Answers without their requests: only the text is compared.
    private(set) var texts = 0
    private(set) var skipped: [Skip: Int] = [:]
    private(set) var differences: [String] = []

    // MARK: Rows

    mutating func play(_ row: EtcdRecording.Row) {
        store.advance(to: store.now + 1_000_000)
        do { try takeHiddenSteps(before: row) } catch { differences.append("\(row): a hidden step failed: \(error)") }
        if let reason = Self.skip(row) {
            skipped[reason, default: 0] += 1
            return
        }
        if row.way == nil, row.request == nil {
            texts += 1
            let isKnown = row.code == "OK" || Self.known.contains { describe($0) == describe(row) }
            expect(isKnown, row, "an unknown answer")
            return
        }
        played += 1
        switch row.way {
        case nil: compare(call(row), row)
        case .sent: send(row)
        case .received: receive(row)
        case .ended: end(row)
        }
    }

    private static func skip(_ row: EtcdRecording.Row) -> Skip? {
        guard let method = row.method else { return .note }
        if method.hasPrefix("GET ") { return .http }
        if method.hasPrefix("Lock/") || method.hasPrefix("Election/") { return .services }
        if method.hasPrefix("Health/") { return .health }
        let texts = ["failed to connect", "grpc: received message larger than max"]
        if texts.contains(where: { row.message.hasPrefix($0) }) { return .transport }
        // The recorder also ended watches by itself; those are played.
        if row.message.hasPrefix("Stream removed") { return .ownDeadline }
        return nil
    }

    private static let known: [EtcdServerError] = [.leaderChanged, .timedOut, .leaderFailed]

    // MARK: Calls

    private func member(_ row: EtcdRecording.Row) -> Int {
        let id = row.response?["header"]?["member_id"]?.int64Value.map { UInt64(clamping: $0) }
        return store.members.firstIndex { $0.id == id } ?? places[row.node ?? ""] ?? 0
    }

    private func caller(_ row: EtcdRecording.Row) -> EtcdStore.Caller {
        let token = (row.metadata["token"] ?? row.metadata["authorization"]).map { text in
            text.hasPrefix("TOKEN.") ? tokens[String(text.dropFirst(6))] ?? text : text
        }
        return EtcdStore.Caller(member: member(row), token: token, hasLeader: row.metadata["hasleader"] == "true")
    }

    private mutating func call(_ row: EtcdRecording.Row) -> Result<any Message, EtcdServerError> {
        let caller = caller(row)
        func request<Request: Message>() throws -> Request { try Request(serializedBytes: bytes(row)) }
        do {
            switch row.method {
            case "KV/Range": return .success(try store.range(request(), caller))
            case "KV/Put": return .success(try store.put(request(), caller))
            case "KV/DeleteRange": return .success(try store.deleteRange(request(), caller))
            case "KV/Txn": return .success(try store.transact(request(), caller))
            case "KV/Compact":
                try store.compact(row.request?["revision"]?.int64Value ?? 0, caller)
                return .success(bare(caller))
            case "Lease/LeaseGrant": return .success(try store.grant(request(), caller))
            case "Lease/LeaseRevoke": return .success(try store.revoke(request(), caller))
            case "Lease/LeaseTimeToLive": return .success(try store.timeToLive(request(), caller))
            case "Lease/LeaseLeases": return .success(try store.leaseList(request(), caller))
            case "Cluster/MemberList": return .success(try store.memberList(request(), caller))
            case "Maintenance/Status": return .success(try store.status(request(), caller))
            case "Maintenance/Alarm": return .success(try store.alarm(request(), caller))
            case "Maintenance/MoveLeader":
                try store.moveLeader(to: UInt64(clamping: row.request?["targetID"]?.int64Value ?? 0), caller)
                return .success(Etcdserverpb_PutResponse())
            case "Auth/Authenticate": return .success(try store.authenticate(request(), caller))
            case "Auth/AuthStatus":
                let status = try store.authStatus(caller)
                // AuthStatusResponse has `enabled` as field 2 and `authRevision` as field 3, as a lease's answer has its id and its TTL.
                var response = Etcdserverpb_LeaseKeepAliveResponse()
                response.header = store.header(of: caller)
                (response.id, response.ttl) = (status.isEnabled ? 1 : 0, Int64(status.revision))
                return .success(response)
            default: return .failure(EtcdServerError(.unimplemented, "the replay does not know \(row.method ?? "")"))
            }
        } catch let error as EtcdServerError {
            return .failure(error)
        } catch {
            return .failure(EtcdServerError(.internalError, "\(error)"))
        }
    }

    /// An answer that has a header only.
    private func bare(_ caller: EtcdStore.Caller) -> any Message {
        var response = Etcdserverpb_PutResponse()
        response.header = store.header(of: caller)
        return response
    }

    /// The recorded request. Of those that were too large, the rows have the keys and the size of the value.
    private func bytes(_ row: EtcdRecording.Row) throws -> [UInt8] {
        if let bytes = row.requestBytes { return bytes }
        if let operations = row.request?["success"]?.arrayValue {
            var request = Etcdserverpb_TxnRequest()
            request.success = operations.map { operation in
                var put = Etcdserverpb_RequestOp()
                put.requestPut.key = Data((operation["request_put"]?["key"]?.stringValue ?? "").utf8)
                return put
            }
            return try request.serializedBytes()
        }
        let text = row.request?["value"]?.stringValue ?? ""
        let digits = text.drop { $0 != "(" }.dropFirst().prefix { $0.isNumber }
        var request = Etcdserverpb_PutRequest()
        request.key = Data((row.request?["key"]?.stringValue ?? "").utf8)
        request.value = Data(repeating: 120, count: Int(digits) ?? 0)
        return try request.serializedBytes()
    }

    // MARK: Streams

    /// Continues a stream of watches that a hidden step opened.
    mutating func adopt(_ stream: Int, scenario: String, client: String, number: Int64) {
        calls[CallID(scenario: scenario + store.version.rawValue, client: client, stream: number)] = .watch(stream, [])
    }

    /// Sends a keep-alive that no row shows.
    mutating func keepAlive(_ request: Etcdserverpb_LeaseKeepAliveRequest, _ caller: EtcdStore.Caller, scenario: String, number: Int64) {
        calls[CallID(scenario: scenario + store.version.rawValue, stream: number)] = .keepAlive(caller, renewed(request, caller))
    }

    private mutating func renewed(
        _ request: Etcdserverpb_LeaseKeepAliveRequest, _ caller: EtcdStore.Caller
    ) -> [Result<Etcdserverpb_LeaseKeepAliveResponse, EtcdServerError>] {
        do { return try store.keepAlive(request, caller).map { [.success($0)] } ?? [] } catch { return [.failure(error)] }
    }

    private func id(_ row: EtcdRecording.Row) -> CallID {
        CallID(scenario: row.scenario + row.version, client: row.client, stream: row.stream ?? 0)
    }

    private mutating func send(_ row: EtcdRecording.Row) {
        let (key, caller) = (id(row), caller(row))
        do {
            switch row.method {
            case "Watch/Watch":
                let number: Int
                if case .watch(let open, _) = calls[key] { number = open } else { number = try store.openWatches(caller) }
                if calls[key] == nil { calls[key] = .watch(number, []) }
                store.watch(try Etcdserverpb_WatchRequest(serializedBytes: bytes(row)), on: number)
            case "Lease/LeaseKeepAlive":
                var results: [Result<Etcdserverpb_LeaseKeepAliveResponse, EtcdServerError>] = []
                var first = caller
                if case .keepAlive(let opener, let earlier) = calls[key] { (first, results) = (opener, earlier) }
                let request = try Etcdserverpb_LeaseKeepAliveRequest(serializedBytes: bytes(row))
                results += renewed(request, first)
                calls[key] = .keepAlive(first, results)
            default: calls[key] = .answered(call(row))
            }
        } catch {
            differences.append("\(row): \(error)")
        }
    }

    private mutating func receive(_ row: EtcdRecording.Row) {
        switch calls[id(row)] {
        case .answered(let result): compare(result, row)
        case .watch(let number, var answers):
            do { answers += try store.takeAnswers(number) } catch { return differences.append("\(row): \(error)") }
            guard !answers.isEmpty else { return differences.append("\(row): no answer") }
            compare(.success(answers.removeFirst()), row)
            calls[id(row)] = .watch(number, answers)
        case .keepAlive(let caller, var results):
            guard !results.isEmpty else { return differences.append("\(row): no answer") }
            compare(results.removeFirst().map { $0 as any Message }, row)
            calls[id(row)] = .keepAlive(caller, results)
        case nil: differences.append("\(row): the call was never sent")
        }
    }

    /// The end of a call: by the client (OK or CANCELLED), or by the server with a failure. Nothing is left unsaid before it.
    private mutating func end(_ row: EtcdRecording.Row) {
        let byClient = row.code == "OK" || row.code == "CANCELLED"
        switch calls.removeValue(forKey: id(row)) {
        case .answered(let result):
            if case .failure(let error) = result { compare(.failure(error), row) } else { expect(byClient, row, "answered") }
        case .watch(let number, let left):
            do {
                let answers = try left + store.takeAnswers(number)
                expect(answers.isEmpty, row, "more answers: \(answers)")
                let none = try store.takeAnswers(number)
                expect(byClient && none.isEmpty, row, "not ended by the server")
            } catch {
                compare(.failure(error), row)
            }
            store.closeWatches(number)
        case .keepAlive(let caller, let left):
            // Without a request under way, the server looks for a leader itself.
            var last = left.first
            if last == nil, !byClient {
                do { _ = try store.keepAlive(Etcdserverpb_LeaseKeepAliveRequest(), caller) } catch { last = .failure(error) }
            }
            if let last { compare(last.map { $0 as any Message }, row) } else { expect(byClient, row, "not ended by the server") }
        case nil: differences.append("\(row): the call was never sent")
        }
    }

    // MARK: Comparison

    private mutating func expect(_ holds: Bool, _ row: EtcdRecording.Row, _ text: String) {
        if !holds { differences.append("\(row): \(text)") }
    }

    private func describe(_ error: EtcdServerError) -> String { "\(error.code): \(error.message)" }
    private func describe(_ row: EtcdRecording.Row) -> String {
        "\((row.code ?? "").split(separator: "_").enumerated().map { $0 == 0 ? $1.lowercased() : $1.capitalized }.joined()): \(row.message)"
    }

    private mutating func compare(_ result: Result<any Message, EtcdServerError>, _ row: EtcdRecording.Row) {
        switch result {
        case .failure(let error):
            expect(describe(error) == describe(row), row, "\(describe(error)) instead of \(describe(row))")
            // Within a second: the recorded servers were busy, and noticed the loss of their leader late.
            let difference = (error.after - row.elapsed) / .seconds(1)
            expect(row.way != nil || abs(difference) < 1, row, "after \(error.after) instead of \(row.elapsed)")
        case .success(let own):
            guard let bytes = row.responseBytes else {
                return differences.append("\(row): \(own) instead of \(describe(row))")
            }
            do {
                let recorded = normalized(try type(of: own).init(serializedBytes: bytes), row)
                let own = normalized(own, row)
                expect(own.isEqualTo(message: recorded), row, "\(own)\ninstead of\n\(recorded)")
            } catch {
                differences.append("\(row): \(error)")
            }
        }
    }

    /// Lists in an order of their own: etcd orders members and leases by ids that the recorder replaced.
    private func normalized(_ message: any Message, _ row: EtcdRecording.Row) -> any Message {
        if var list = message as? Etcdserverpb_MemberListResponse {
            list.members.sort { $0.id < $1.id }
            return list
        }
        if var list = message as? Etcdserverpb_LeaseLeasesResponse {
            // The lease that a Lock call without one made has an id at random, which no row shows again.
            list.leases.removeAll { $0.id == Self.foreignLease }
            list.leases.sort { $0.id < $1.id }
            return list
        }
        if var answer = message as? Etcdserverpb_LeaseKeepAliveResponse, Self.oldTerms.contains(row.line) {
            answer.header.raftTerm = 0
            return answer
        }
        return message
    }

    /// The lease of line 112.
    static let foreignLease: Int64 = 0x3d6b_a227_faea_ca5f
    /// Answers whose header has the term of before an election that came in between.
    private static let oldTerms: Set<Int> = [369]
}
