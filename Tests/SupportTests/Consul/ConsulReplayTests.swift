import QQCore
import Support
import Testing

@Suite("Recording of a real cluster of Consul") struct ConsulReplayTests {
    /// How a line is checked.
    enum Check: String {
        /// Sent to the store; status, headers, body and delay compared.
        case call
        /// A blocking query that the store must let wait, with writes that wake it or do not.
        case blocking
        /// An action on the cluster, repeated on the store.
        case control
        /// A time that was measured, compared with the store's.
        case time
        /// Selected fields of an agent's state.
        case picked
        /// The status and kind of an error while the leader is dead: which text comes depends on the state of connections within the cluster.
        case kind
        /// The command line, output or end of `consul lock`, whose calls are replayed. `ConsulLockTests` compare the stand-in's output
        /// with some of them.
        case program
        /// Compared over the network by `ConsulServerTests`.
        case network
    }

    @Test func `the test store answers like the recorded cluster, line by line`() throws {
        let replay = ConsulReplay()
        var checked: [Check: Int] = [:]
        let lines = try ConsulRecording.read().lines
        for line in lines {
            do {
                try replay.hiddenSteps(before: line)
                checked[try replay.check(line), default: 0] += 1
            } catch { Issue.record("\(line): \(error)") }
        }
        try replay.finish()
        #expect(lines.count == 432)
        #expect(
            checked == [.call: 358, .blocking: 5, .control: 5, .time: 12, .picked: 6, .kind: 10, .program: 34, .network: 2],
            "\(checked)")
    }
}

extension ConsulReplay {
    typealias Check = ConsulReplayTests.Check

    private func require(_ condition: Bool, _ text: String) throws { if !condition { throw Difference(description: text) } }

    func check(_ line: ConsulRecording.Line) throws -> Check {
        if let writes = Self.writesWhileBlocked[line.number] {
            try checkBlocking(line, writes)
            return .blocking
        }
        switch line.number {
        case 98:
            guard case .blocked(let query) = start(line) else { throw Difference(description: "does not block") }
            clock.pass(.milliseconds(1505))
            let wait = query.deadline.duration(since: clock.now())
            try require(store.poll(query) == nil && wait > .seconds(598) && wait < .seconds(636), "waits for \(wait)")
            return .blocking
        case 328...333 where line.whole["picked"] != nil || line.number >= 332:
            try checkPicked(line)
            return .picked
        case 388, 389: return .network
        case 390, 409, 413, 427, 429:
            control(line)
            return .control
        case 391:
            guard let deadLeaderQuery, case .answer(let answer)? = store.poll(deadLeaderQuery) else {
                throw Difference(description: "does not end")
            }
            try require(answer.status == 500 && answer.text == line.response && answer.after == .milliseconds(300), answer.text)
            return .call
        case 393...402:
            guard case .answer(let answer) = start(line) else { throw Difference(description: "no answer") }
            try require(line.status == 500 && answer.status == 500, "status \(answer.status)")
            try require(line.response?.hasPrefix("rpc error") == true && answer.text.hasPrefix("rpc error"), answer.text)
            return .kind
        case 403:
            clock.pass(.milliseconds(3200))
            store.electLeader("server3")
        case 430:
            guard case .refused = start(line) else { throw Difference(description: "a dead agent answers") }
            return .call
        default: break
        }
        if line.method != nil {
            try replay(line)
            return .call
        }
        return try checkTime(line) ? .time : .program
    }

    private func checkBlocking(
        _ line: ConsulRecording.Line, _ writes: [(method: String, target: String, body: String, wakes: Bool)]
    ) throws {
        guard case .blocked(let query) = start(line) else { throw Difference(description: "does not block") }
        for write in writes {
            try hidden(write.method, write.target, write.body)
            let outcome = store.poll(query)
            try require((outcome != nil) == write.wakes, "\(write.target) \(write.wakes ? "did not wake" : "woke") the query")
            if let outcome { try finish(outcome, line) }
        }
    }

    private func checkTime(_ line: ConsulRecording.Line) throws -> Bool {
        func acquire(_ key: String, _ session: Int) -> String {
            let request = ConsulStore.Request("PUT", "/v1/kv/\(key)?acquire=\(Self.id(session))")
            guard case .answer(let answer) = store.handle(request, at: agents["follower1"] ?? store.leader) else { return "no answer" }
            return "\(answer.status) \(answer.text)"
        }
        /// Requires that a key becomes free for a session between these times from now.
        func freed(_ key: String, from start: Duration, to end: Duration, by session: Int) throws {
            if start > .zero {
                clock.pass(start)
                try require(acquire(key, session) == "200 false", "\(key) is free too early")
            }
            clock.pass(end - start)
            try require(acquire(key, session) == "200 true", "\(key) is not free")
        }
        switch line.number {
        case 77: try freed("d/0s-release", from: .zero, to: .zero, by: 3)
        case 82: try freed("d/2s-release", from: .milliseconds(1990), to: .milliseconds(2010), by: 3)
        case 87: try freed("d/2s-delete", from: .milliseconds(1990), to: .milliseconds(2010), by: 3)
        case 89: try freed("d/del", from: .zero, to: .zero, by: 3)
        case 90: try freed("d/gone", from: .milliseconds(4990), to: .milliseconds(5020), by: 3)
        case 91: try freed("d/default", from: .milliseconds(14_990), to: .milliseconds(15_020), by: 3)
        case 92: try checkExpiry()
        case 407:
            // Killed 3.2 s before the election, and ended 23.3 s after the kill.
            clock.pass(.milliseconds(19_800))
            try require(store.holder("f/.lock") != nil, "the session ended too early")
            clock.pass(.milliseconds(300))
            try require(store.holder("f/.lock") == nil, "the session did not end")
        case 410:
            clock.pass(.milliseconds(10))
            let answer = acquire("f/d", 4)
            try require(answer.hasPrefix("500 rpc error"), answer)
        case 411:
            clock.pass(.milliseconds(2470))
            store.electLeader("server1")
            clock.pass(.milliseconds(10))
            try require(acquire("f/d", 4) == "200 false", "the lock-delay is over")
        case 412: try freed("f/d", from: .milliseconds(14_980), to: .milliseconds(15_010), by: 4)
        case 431:
            clock.pass(.milliseconds(5900))
            try require(store.holder("g/with") != nil, "the lock was free too early")
            clock.pass(.milliseconds(320))
            try require(store.holder("g/with") == nil && store.holder("g/without") == Self.id(49), "the check did not free the lock")
        default: return false
        }
        return true
    }

    private func checkExpiry() throws {
        for number in 60..<66 {
            try createSession(Self.id(number), #"{"TTL": "10s", "LockDelay": "0s", "Checks": []}"#)
            try hidden("PUT", "/v1/kv/e/\(number)?acquire=\(Self.id(number))")
        }
        let index = store.index
        guard case .blocked(let query) = store.handle(.init("GET", "/v1/kv/e/60?index=\(index)&wait=60s"), at: store.leader) else {
            throw Difference(description: "does not block")
        }
        clock.pass(.milliseconds(19_999))
        try require(store.poll(query) == nil && store.sessions.count >= 6, "a session ended too early")
        clock.pass(.milliseconds(2))
        guard case .answer(let answer)? = store.poll(query) else { throw Difference(description: "no session ended") }
        try require(answer.json?.arrayValue?.first?["Session"] == nil, answer.text)
        for number in 60..<66 { try require(store.session(Self.id(number)) == nil, "session \(number) lives") }
    }

    private func control(_ line: ConsulRecording.Line) {
        switch line.number {
        case 390:
            let request = ConsulStore.Request("GET", "/v1/kv/f/.lock?index=\(store.index)&wait=60s")
            if case .blocked(let query) = store.handle(request, at: "client") { deadLeaderQuery = query }
            store.killLeader()
        case 409: store.killLeader()
        case 413: store.loseQuorum()
        case 427: store.electLeader()
        default: store.killAgent("client")
        }
    }

    private func checkPicked(_ line: ConsulRecording.Line) throws {
        guard case .answer(let answer) = start(line), let ours = answer.json, answer.status == 200 else {
            throw Difference(description: "no answer")
        }
        let recorded = try line.whole["picked"] ?? JSONValue.parse((line.response ?? "").utf8)
        var places: [String] = []
        func name(_ value: JSONValue) -> String { (value["Name"] ?? value["Node"])?.stringValue ?? "" }
        /// Compares all members of the recording, except for those that differ from run to run.
        func walk(_ recorded: JSONValue, _ ours: JSONValue?, _ place: String) {
            if let object = recorded.objectValue {
                for member in object.members {
                    // `Stats.raft` is a path; `role` and `build` are tags.
                    var own: JSONValue? = ours
                    for part in member.name.split(separator: ".") { own = own?[String(part)] }
                    if own == nil, let tag = ours?["Tags"]?[member.name] {
                        own = member.name == "build" ? member.value : tag
                    }
                    walk(member.value, own, place + "/" + member.name)
                }
            } else if let list = recorded.arrayValue {
                let (one, other) = (list.sorted { name($0) < name($1) }, (ours?.arrayValue ?? []).sorted { name($0) < name($1) })
                if one.count != other.count { places.append(place) }
                for (one, other) in zip(one, other) { walk(one, other, place + "/" + name(one)) }
            } else {
                let field = place.split(separator: "/").last ?? ""
                let varies = ["ID", "LastContact", "LastIndex", "StableSince", "last_contact"].contains(field) || field.hasSuffix("_index")
                if ours == nil || !varies && ours != recorded { places.append("\(place): \(recorded), ours \(ours ?? .null)") }
            }
        }
        walk(recorded, ours, "")
        try require(places.isEmpty, places.joined(separator: "; "))
    }
}
