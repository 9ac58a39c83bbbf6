import QQCore

@testable import QQNATS

/// Any answers of a NATS server and its other clients, as messages with headers and payload, separated by NUL: they become the state of an
/// election or a member, or none, which can be shown.
func fuzzNATSAnswer(_ data: [UInt8]) {
    guard let kind = data.first else { return }
    let parts = data.dropFirst().split(separator: 0, omittingEmptySubsequences: false).map { message(Array($0)) }
    switch kind {
    case UInt8(ascii: "l"): checkLists(parts)
    case UInt8(ascii: "m"): checkMembers(parts)
    case UInt8(ascii: "w"): checkWatch(Array(data.dropFirst()))
    default: checkLease(parts, isDirect: kind == UInt8(ascii: "d"))
    }
}

/// Parses a message, with headers if it begins as headers do.
private func message(_ bytes: [UInt8]) -> NATSMessage {
    var message = NATSMessage(subject: "_INBOX.fuzz.1", payload: bytes)
    guard bytes.starts(with: Array("NATS/1.0".utf8)) else { return message }
    let end = Array("\r\n\r\n".utf8)
    guard let start = bytes.indices.first(where: { bytes[$0...].starts(with: end) }),
        let headers = try? HeaderBlock.parse(bytes[..<(start + 4)])
    else { return message }
    message.headers = headers
    message.payload = Array(bytes[(start + 4)...])
    return message
}

private let coordinator: NATSCoordinator? = {
    guard let server = try? ServerURL.parse("nats://127.0.0.1:1", as: [.nats]) else { return nil }
    guard let settings = try? NATSSettings(server: server) else { return nil }
    return NATSCoordinator(server: server, settings: settings, explicitTTL: nil, clock: StandingClock(), requestTimeout: .seconds(1))
}()

/// Checks a stream's info, a lease entry and a cooldown.
private func checkLease(_ parts: [NATSMessage], isDirect: Bool) {
    guard let coordinator, let stream = parts.first.flatMap({ try? StreamInfo($0) }) else { return }
    var shown: Set<ElectionState> = []
    for format in LeaseFormat.allCases {
        let bucket = format.bucket(cluster: "fuzz")
        func entry(_ place: Int) -> KeyValueEntry? {
            guard parts.count > place else { return nil }
            return (try? isDirect ? KeyValueEntry.direct(parts[place], bucket: bucket) : KeyValueEntry.stored(parts[place], bucket: bucket))
                ?? nil
        }
        let lease = LeaseEntry(entry(1), format: format)
        let now = StandingClock.moment
        let clocks = [nil, stream.timestamp.map { ServerClock(time: $0, readAt: now) }]
        for clock in clocks {
            var rules = coordinator.rules("fuzz", lease, stream: stream, clock: clock)
            shown.insert(coordinator.electionState("fuzz", rules))
            for (boot, wall) in [(now, WallTime.now()), (BootInstant(nanoseconds: 0), .goZero), (.distantFuture, .latest)] {
                let moment = LeaseEntryRules.Moment(boot: boot, wall: wall)
                rules.firstSeen = now
                _ = LeaseSnapshot(rules, at: moment)
                let decision = rules.decide(.init(identity: "us", continuing: lease.messageID?.termID, cooldown: entry(2)), at: moment)
                guard let epoch = lease.value?.epoch, epoch < .max else { continue }
                if case .take(_, let next) = decision, next <= epoch {
                    fail("counts terms backwards: \(next) after \(epoch)", Array("\(parts)".utf8))
                }
            }
        }
    }
    checkShown(Array(shown), at: StandingClock.moment)
}

private func checkLists(_ parts: [NATSMessage]) {
    for part in parts {
        if let page = try? StreamPage<StreamInfo>(infos: part) {
            _ = page.buckets
            if let next = page.nextOffset, next <= page.offset { fail("goes through the pages forever", part.payload) }
        }
        if let page = try? StreamPage<String>(names: part) { _ = (page.buckets, page.nextOffset) }
        _ = try? PublishAcknowledgement(part)
        _ = try? ConsumerInfo(part)
        _ = JetStreamFailure.failed(NATSError(.malformed, "x")).description
    }
}

private func checkMembers(_ parts: [NATSMessage]) {
    var report = ClusterReport(endpoints: [])
    for part in parts {
        if let info = try? ServerInfo(json: part.payload) {
            var endpoint = EndpointStatus(endpoint: "n1:4222", isReachable: true, canGrant: true)
            endpoint.details = [.init("server_name", .string(info.serverName)), .init("version", .string(info.version))]
            report.endpoints.append(endpoint)
            _ = info.versionNumbers
            var pool = ServerPool([.init(host: "n1", port: 4222)])
            _ = pool.announce(info.connectURLs, current: nil)
        }
        for node in NATSCoordinator.nodes(part.payload) {
            report.members.append(MemberStatus(election: node.cluster, id: node.id, version: node.version))
        }
        var member = MemberStatus(election: "fuzz", id: "n1")
        member.answered(part.payload)
        report.members.append(member)
    }
    checkShown(report)
}

/// Checks the deliveries of a consumer, in wire form.
private func checkWatch(_ bytes: [UInt8]) {
    guard let coordinator else { return }
    for format in LeaseFormat.allCases {
        var parser = NATSParser()
        parser.append(bytes)
        var number = 0
        var consumer = OrderedConsumer(
            OrderedConsumer.Configuration(
                bucket: format.bucket(cluster: "fuzz"), newName: { "name" }, newInbox: { "inbox" }))
        var now = StandingClock.moment
        var entries: [KeyValueEntry] = []
        func take(_ actions: [OrderedConsumer.Action]) {
            for case .deliver(let entry) in actions { entries.append(entry) }
        }
        take(consumer.handle(.start, now: now))
        take(consumer.handle(.created(ConsumerInfo(name: "name", pending: 1)), now: now))
        while number < 1000, let operation = (try? parser.next()) ?? nil {
            number += 1
            now = now + .seconds(1)
            guard case .message(_, let message) = operation else {
                take(consumer.handle(.timer, now: now))
                continue
            }
            take(consumer.handle(.delivery(message), now: now))
            _ = MessageID(message.headers["Nats-Msg-Id"] ?? "")
        }
        let configuration = #"{"config":{"name":"KV_\#(format.bucket(cluster: "fuzz"))","max_age":10000000000},"state":{"last_seq":1}}"#
        guard let stream = try? StreamInfo(message(Array(configuration.utf8))) else { return }
        let states = entries.suffix(5).map { entry in
            coordinator.electionState("fuzz", coordinator.rules("fuzz", LeaseEntry(entry, format: format), stream: stream, clock: nil))
        }
        checkShown(states, at: now)
    }
}
