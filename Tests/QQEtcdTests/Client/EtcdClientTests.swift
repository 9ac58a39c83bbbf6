import FoundationEssentials
import GRPCCore
import QQCore
import QQGRPC
import Synchronization
import Testing

@testable import QQEtcd
@testable import Support

private func inSandbox(_ body: (Sandbox) async throws -> Void) async throws { _ = try await withSandbox(.light, body) }

extension EtcdClient {
    fileprivate convenience init(_ members: [ScriptedMember], login: EtcdLogin? = nil, tryTime: Duration = patience) {
        var options = EtcdOptions(members.map(\.host), login: login)
        (options.tryTime, options.openTime) = (tryTime, patience)
        self.init(options, clock: SystemClock())
    }

    fileprivate func failure<Value>(_ call: (EtcdClient) async throws(EtcdFailure) -> Value) async -> EtcdFailure? {
        do throws(EtcdFailure) {
            _ = try await call(self)
            return nil
        } catch { return error }
    }
}

/// A time within which a server answers even on a busy machine.
private let patience = Duration.seconds(60)
/// Times for tries at a member that hangs. The other member, and calls before, must be answered within them: if a busy machine does not manage that, the
/// test is repeated with the next one.
private let shortTries: [Duration] = [.milliseconds(500), .seconds(4), .seconds(20)]
private func soon(_ time: Duration = patience * 2) -> BootInstant { SystemClock().now() + time }
private let anyRange = EtcdRange(.one([1]))
private let anyPut = EtcdTransaction(if: [.isAbsent([1])], then: [.put(key: [1], value: [], lease: 7)])
private let ann = EtcdLogin(user: "ann", password: "s3cret")
private func refusal(_ code: RPCError.Code, _ text: String) -> RPCError { RPCError(code: code, message: text) }

/// The events that readers of watches were given.
private final class Heard: Sendable {
    private let heard = Mutex<[String]>([])
    var texts: [String] { heard.withLock { $0 } }

    func listen(_ name: String, _ watch: EtcdWatch) -> Task<Void, Never> {
        Task {
            for await event in watch {
                let text =
                    switch event {
                    case .began: "began"
                    case .changed(let changes): "\(changes.count) changed"
                    case .compacted(let revision): "compacted \(revision)"
                    case .lost(let failure): "lost \(failure.meaning)"
                    }
                heard.withLock { $0.append("\(name) \(text)") }
            }
            heard.withLock { $0.append("\(name) ended") }
        }
    }
}

@Suite("Calls to a cluster of etcd") struct EtcdClientTests {
    @Test("a dead member is passed over at once, and the one that answered is asked first from then on") func dead() async throws {
        try await inSandbox { box in
            let (first, second) = (try await ScriptedMember(in: box), try await ScriptedMember(in: box))
            let client = EtcdClient([first, second])
            await first.listener.kill()
            #expect(try await client.range(anyRange, by: soon()).revision == 10)
            try await first.listener.start()
            #expect(try await client.range(anyRange, by: soon()).revision == 10)
            #expect(first.calls(.range).isEmpty && second.calls(.range).count == 2)
            client.close()
        }
    }

    @Test("a member that hangs is left after a try, and the transaction is repeated at another") func hanging() async throws {
        try await inSandbox { box in
            let first = try await ScriptedMember(in: box) { $0.silent = [.transact] }
            let second = try await ScriptedMember(in: box)
            for tryTime in shortTries where first.calls(.transact).isEmpty {
                let client = EtcdClient([first, second], tryTime: tryTime)
                _ = try await client.range(anyRange, by: soon())
                let answer = try await client.transact(anyPut, by: soon())
                #expect(answer.succeeded && answer.answers == [.put])
                client.close()
            }
            #expect(!first.calls(.transact).isEmpty && !second.calls(.transact).isEmpty)
        }
    }

    @Test("all members dead: the call fails at once, and was not carried out") func allDead() async throws {
        try await inSandbox { box in
            let members = [try await ScriptedMember(in: box), try await ScriptedMember(in: box)]
            let client = EtcdClient(members)
            for member in members { await member.listener.kill() }
            let began = ContinuousClock.now
            let failure = try #require(await client.failure { c throws(EtcdFailure) in try await c.transact(anyPut, by: soon()) })
            #expect(failure.meaning == .unavailable && failure.reason == "Connection refused" && !failure.wasSent, "\(failure)")
            #expect(ContinuousClock.now - began < patience, "it does not wait for the end of a try")
            client.close()
        }
    }

    @Test("without an answer by the deadline a transaction is uncertain and a read is not") func late() async throws {
        try await inSandbox { box in
            let member = try await ScriptedMember(in: box) { $0.silent = [.transact, .range] }
            let client = EtcdClient([member], tryTime: .seconds(2))
            // Once there is a connection, the request is sent in time.
            _ = try await client.members(by: soon())
            let change = await client.failure { c throws(EtcdFailure) in try await c.transact(anyPut, by: soon(.seconds(8))) }
            #expect(change?.meaning == .mayHaveBeenApplied && change?.wasSent == true)
            let read = await client.failure { c throws(EtcdFailure) in try await c.range(anyRange, by: soon(.milliseconds(300))) }
            #expect(read?.meaning == .unavailable)
            client.close()
        }
    }

    @Test("refusals that pass are repeated") func passing() async throws {
        try await inSandbox { box in
            let member = try await ScriptedMember(in: box) {
                $0.refusals[.transact] = [
                    refusal(.unavailable, "etcdserver: no leader"), refusal(.unknown, "raft proposal dropped"),
                    refusal(.unavailable, "etcdserver: request timed out"),
                ]
            }
            let client = EtcdClient([member])
            #expect(try await client.transact(anyPut, by: soon()).succeeded)
            #expect(member.calls(.transact).count == 4)
            client.close()
        }
    }

    @Test("calls want a member that sees a leader, but for those that report the cluster's state and reads of any state") func hasLeader()
        async throws
    {
        try await inSandbox { box in
            let member = try await ScriptedMember(in: box) { $0.leases = [7: 5] }
            let client = EtcdClient([member])
            _ = try await client.range(anyRange, by: soon())
            _ = try await client.transact(anyPut, by: soon())
            _ = try await client.keepAlive(7, by: soon())
            for method in [EtcdMethod.range, .transact, .keepAlive] {
                #expect(member.calls(method).map(\.hasLeader) == [true], "\(method)")
            }
            _ = try await client.members(by: soon())
            #expect(try await client.status(of: member.host, by: soon()).version == "3.6.13")
            for method in [EtcdMethod.members, .status] { #expect(member.calls(method).map(\.hasLeader) == [false], "\(method)") }
            var stale = anyRange
            stale.isSerializable = true
            _ = try await client.range(stale, by: soon())
            #expect(member.calls(.range).map(\.hasLeader) == [true, false])
            client.close()
        }
    }

    @Test("a lease that a try without an answer has made is found") func granted() async throws {
        try await inSandbox { box in
            // The first grant is carried out, as it seems; its answer never comes.
            let member = try await ScriptedMember(in: box) {
                $0.leases = [7: 5, 8: 5]
                $0.refusals[.grant] = [refusal(.unavailable, "etcdserver: request timed out")]
            }
            let client = EtcdClient([member])
            #expect(try await client.grantLease(7, seconds: 5, by: soon()) == 5)
            // Without such a try, another has it.
            let failure = await client.failure { c throws(EtcdFailure) in try await c.grantLease(8, seconds: 5, by: soon()) }
            #expect(failure?.meaning == .leaseExists)
            #expect(try await client.grantLease(9, seconds: 1, by: soon()) == 2, "the server's minimum")
            #expect(try await client.lease(9, withKeys: false, by: soon())?.grantedSeconds == 2)
            try await client.revokeLease(9, by: soon())
            try await client.revokeLease(9, by: soon())
            #expect(try await client.lease(9, withKeys: false, by: soon()) == nil)
            client.close()
        }
    }

    @Test("an answer that is too large is told as that, and not asked for again") func tooLarge() async throws {
        try await inSandbox { box in
            let member = try await ScriptedMember(in: box) { $0.valueSize = 5 << 20 }
            let client = EtcdClient([member])
            let failure = await client.failure { c throws(EtcdFailure) in try await c.range(anyRange, by: soon()) }
            #expect(failure?.meaning == .tooLarge && member.calls(.range).count == 1, "\(String(describing: failure))")
            member.change { $0.valueSize = 1 << 20 }
            #expect(try await client.range(anyRange, by: soon()).found.first?.value.count == 1 << 20)
            client.close()
        }
    }

    // MARK: Login

    @Test("one login serves many calls, and is renewed when its token is refused") func login() async throws {
        try await inSandbox { box in
            let member = try await ScriptedMember(in: box) { $0.tokens = [] }
            let client = EtcdClient([member], login: ann)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 1...20 { group.addTask { _ = try await client.range(anyRange, by: soon()) } }
                try await group.waitForAll()
            }
            #expect(member.calls(.authenticate).count == 1)
            #expect(Set(member.calls(.range).map(\.token)) == ["t1"])
            member.change { ($0.tokens, $0.nextToken) = ([], "t2") }
            _ = try await client.range(anyRange, by: soon())
            #expect(member.calls(.authenticate).count == 2 && member.calls(.range).last?.token == "t2")
            client.close()
        }
    }

    @Test("a wrong password is denied, and is not shown") func wrongPassword() async throws {
        try await inSandbox { box in
            let member = try await ScriptedMember(in: box) { $0.tokens = [] }
            let client = EtcdClient([member], login: EtcdLogin(user: "ann", password: "0ther"))
            let failure = try #require(await client.failure { c throws(EtcdFailure) in try await c.range(anyRange, by: soon()) })
            #expect(failure.meaning == .denied && !"\(failure)".contains("0ther"), "\(failure)")
            #expect(member.calls(.range).isEmpty)
            client.close()
        }
    }

    @Test("without authentication a user is not needed, and with it one is, whenever it is turned on") func turnedOn() async throws {
        try await inSandbox { box in
            let member = try await ScriptedMember(in: box)
            let (client, anonymous) = (EtcdClient([member], login: ann), EtcdClient([member]))
            _ = try await client.range(anyRange, by: soon())
            _ = try await client.range(anyRange, by: soon())
            #expect(member.calls(.authenticate).count == 1 && member.calls(.range).map(\.token) == [nil, nil])
            member.change { $0.tokens = [] }
            _ = try await client.range(anyRange, by: soon())
            #expect(member.calls(.range).last?.token == "t1")
            let failure = await anonymous.failure { c throws(EtcdFailure) in try await c.range(anyRange, by: soon()) }
            #expect(failure?.meaning == .denied && failure?.reason == "the cluster requires a login")
            #expect(failure?.hint?.contains("--login-file") == true)
            client.close()
            anonymous.close()
        }
    }

    // MARK: Streams

    @Test("a thousand leases are renewed over one stream") func keepAlives() async throws {
        try await inSandbox { box in
            let member = try await ScriptedMember(in: box) { script in for id in Int64(1)...1000 { script.leases[id] = id + 1 } }
            let client = EtcdClient([member])
            let right = try await withThrowingTaskGroup(of: Bool.self) { group in
                for id in Int64(1)...1000 { group.addTask { try await client.keepAlive(id, by: soon()) == .renewed(seconds: id + 1) } }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(right == 1000)
            #expect(try await client.keepAlive(5000, by: soon()) == .gone)
            #expect(member.calls(.keepAlive).count == 1 && member.listener.connections == 1)
            client.close()
        }
    }

    @Test("keep-alives go on at another member when theirs is killed, and when it hangs", arguments: [true, false])
    func keepAliveElsewhere(_ isKilled: Bool) async throws {
        try await inSandbox { box in
            for tryTime in isKilled ? [patience] : shortTries {
                let (first, second) = (try await ScriptedMember(in: box), try await ScriptedMember(in: box))
                for member in [first, second] { member.change { $0.leases = [7: 5] } }
                let proxy = try Proxy(to: first.listener.port, in: box)
                var options = EtcdOptions([.init(name: "127.0.0.1", port: Int(proxy.port)), second.host])
                options.tryTime = tryTime
                let client = EtcdClient(options, clock: SystemClock())
                defer { client.close() }
                #expect(try await client.keepAlive(7, by: soon()) == .renewed(seconds: 5))
                // The first member might have been too slow for a short try.
                if !second.now.keepAlives.isEmpty, tryTime < shortTries.last! { continue }
                // One that was not answered in time is repeated.
                #expect(!first.now.keepAlives.isEmpty)
                if isKilled { await first.listener.kill() } else { proxy.silence() }
                #expect(try await client.keepAlive(7, by: soon()) == .renewed(seconds: 5))
                #expect(isKilled ? second.now.keepAlives == [7] : second.now.keepAlives.contains(7))
                return
            }
        }
    }

    @Test("keep-alives follow other calls to another member, though theirs still answers them") func keepAliveFollows() async throws {
        try await inSandbox { box in
            for tryTime in shortTries {
                let (first, second) = (try await ScriptedMember(in: box), try await ScriptedMember(in: box))
                for member in [first, second] { member.change { $0.leases = [7: 5] } }
                let client = EtcdClient([first, second], tryTime: tryTime)
                defer { client.close() }
                _ = try await client.keepAlive(7, by: soon())
                // The first member might have been too slow for a short try.
                if first.now.keepAlives != [7], tryTime < shortTries.last! { continue }
                #expect(first.now.keepAlives == [7])
                first.change { $0.silent = [.range] }
                _ = try await client.range(anyRange, by: soon())
                _ = try await client.keepAlive(7, by: soon())
                // One that was not answered in time is repeated.
                #expect(first.now.keepAlives == [7] && second.now.keepAlives.contains(7))
                return
            }
        }
    }

    @Test("a refusal that ends the stream of all concerns only the lease that was refused") func deniedKeepAlive() async throws {
        try await inSandbox { box in
            let member = try await ScriptedMember(in: box) {
                $0.leases = [7: 5]
                $0.refusals[.keepAlive] = [refusal(.permissionDenied, "etcdserver: permission denied")]
            }
            let client = EtcdClient([member])
            #expect(try await client.keepAlive(7, by: soon()) == .renewed(seconds: 5))
            #expect(member.calls(.keepAlive).count == 2)
            client.close()
        }
    }

    @Test("a keep-alive that a member of an earlier term answers is sent to another one, and so are those that follow") func outdated()
        async throws
    {
        try await inSandbox { box in
            let former = try await ScriptedMember(in: box) { ($0.leases, $0.term) = ([7: 5], 2) }
            let present = try await ScriptedMember(in: box) { ($0.leases, $0.term) = ([7: 5], 3) }
            let client = EtcdClient([former, present])
            #expect(try await client.keepAlive(7, by: soon()) == .renewed(seconds: 5, term: 2))
            #expect(try await client.keepAlive(7, atLeast: 3, by: soon()) == .renewed(seconds: 5, term: 3))
            #expect(try await client.keepAlive(7, by: soon()) == .renewed(seconds: 5, term: 3))
            #expect(former.now.keepAlives == [7, 7] && present.now.keepAlives == [7, 7])
            client.close()
        }
    }

    @Test("after the end of its login a stream takes no more watches: they go on over another with a new login, and none is lost")
    func watchesAfterLogin() async throws {
        try await inSandbox { box in
            let cluster = try await SimulatedEtcd.start(members: 1, in: box) { store in
                store.auth.addRole("qq", .readWrite, "a", to: "b")
                store.auth.addUser("ann", password: "s3cret", roles: ["qq"])
                store.auth.isEnabled = true
            }
            let hosts = cluster.ports.map { ServerURL.Host(name: "127.0.0.1", port: Int($0)) }
            let client = EtcdClient(EtcdOptions(hosts, login: ann), clock: SystemClock())
            let heard = Heard()
            let first = heard.listen("first", client.watch([.one(Array("a1".utf8))], from: 0))
            // On a busy machine a watch can fail and begin again.
            try await waitUntil("the first began: \(heard.texts)") { heard.texts.last == "first began" }
            cluster.withStore { $0.auth.endTokens() }
            let second = heard.listen("second", client.watch([.one(Array("a2".utf8))], from: 0))
            try await waitUntil("the second began: \(heard.texts)") { heard.texts.contains("second began") }
            for key in ["a1", "a2"] {
                _ = try await client.transact(EtcdTransaction(if: [], then: [.put(key: Array(key.utf8), value: [], lease: 0)]), by: soon())
            }
            // A put that was not answered in time is repeated.
            try await waitUntil("both heard: \(heard.texts)") {
                ["first", "second"].allSatisfy { name in heard.texts.contains { $0.hasPrefix(name) && $0.hasSuffix("changed") } }
            }
            for listener in [first, second] { listener.cancel() }
            client.close()
        }
    }

    @Test("watches share a stream, and go on after the last event when it is cut") func watches() async throws {
        try await inSandbox { box in
            let member = try await ScriptedMember(in: box)
            let client = EtcdClient([member])
            let heard = Heard()
            let first = heard.listen("a", client.watch([.one([1]), .one([2])], from: 11))
            try await waitUntil("the first begins") { heard.texts == ["a began"] }
            let second = heard.listen("b", client.watch([.one([3])], from: 12))
            try await waitUntil("the second begins") { heard.texts.last == "b began" }
            try await waitUntil("the member has all watches") { member.now.watches == [1: 11, 2: 11, 3: 12] }
            #expect(member.calls(.watch).count == 1)
            try await member.tell(
                .with { response in
                    response.watchID = 2
                    response.events = [.with { ($0.type, $0.kv.key, $0.kv.modRevision) = (.delete, Data([2]), 15) }]
                })
            try await waitUntil("the event arrives") { heard.texts.last == "a 1 changed" }
            member.change { $0.watches = [:] }
            member.listener.cut()
            try await waitUntil("the watches go on") { member.now.watches == [1: 11, 2: 16, 3: 12] }
            #expect(heard.texts == ["a began", "b began", "a 1 changed"], "readers do not notice")
            second.cancel()
            try await waitUntil("a reader that leaves is cancelled") { member.now.watches == [1: 11, 2: 16] }
            try await member.tell(.with { ($0.watchID, $0.canceled, $0.compactRevision) = (1, true, 14) })
            try await waitUntil("compaction ends a watch") {
                heard.texts.filter { $0.hasPrefix("a") }.suffix(2) == ["a compacted 14", "a ended"]
            }
            first.cancel()
            client.close()
        }
    }

    @Test("readers hear that their watch is lost if no member can be reached, or the client is closed") func lostWatch() async throws {
        try await inSandbox { box in
            let member = try await ScriptedMember(in: box)
            let client = EtcdClient([member])
            await member.listener.kill()
            var events: [EtcdFailure.Meaning] = []
            for await event in client.watch([.one([1])], from: 0) { if case .lost(let failure) = event { events.append(failure.meaning) } }
            #expect(events == [.unavailable])
            try await member.listener.start()
            for await event in client.watch([.one([1])], from: 0) {
                switch event {
                case .began: client.close()
                case .lost(let failure): events.append(failure.meaning)
                case .changed, .compacted: Issue.record("nothing has changed")
                }
            }
            #expect(events == [.unavailable, .cancelled])
        }
    }

    @Test("a reader that does not read loses its watch, and nothing else grows") func slowReader() async throws {
        try await inSandbox { box in
            let member = try await ScriptedMember(in: box)
            let client = EtcdClient([member])
            let watch = client.watch([.one([1])], from: 1)
            try await waitUntil("it is watched") { member.now.watches[1] != nil && member.now.watcher != nil }
            for revision in Int64(1)...Int64(Watches.room + 10) {
                try await member.tell(
                    .with { response in
                        response.watchID = 1
                        response.events = [.with { ($0.kv.key, $0.kv.modRevision) = (Data([1]), revision) }]
                    })
            }
            try await waitUntil("the watch is cancelled") { member.now.watches.isEmpty }
            var (count, isLost) = (0, false)
            for await event in watch {
                count += 1
                if case .lost = event { isLost = true }
            }
            #expect(isLost && count <= Watches.room + 1)
            client.close()
        }
    }

    @Test("nothing is connected before the first call") func lazy() async throws {
        try await inSandbox { box in
            let member = try await ScriptedMember(in: box)
            let client = EtcdClient([member], login: ann)
            #expect(member.listener.connections == 0)
            _ = try await client.range(anyRange, by: soon())
            #expect(member.listener.connections == 1)
            client.close()
        }
    }
}
