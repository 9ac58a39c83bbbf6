import QQCore
import QQNATS
import QQNetwork

// The API of JetStream, as far as elections use it.
extension NATSServers {
    /// - Returns: whether anybody listens.
    func ask(_ message: NATSMessage, at node: Int) -> Bool {
        guard let reply = message.reply else { return true }
        let words = message.subject.dropFirst("$JS.API.".count).split(separator: ".", maxSplits: 2)
        if words == ["STREAM", "LIST"] {
            list(node, reply)
            return true
        }
        guard words.count == 3 else { return false }
        switch (words[0], words[1]) {
        case ("STREAM", "INFO"):
            askLeader(words[2], node, reply) { stream, replica in stream.information(replica) }
        case ("STREAM", "MSG"):
            askLeader(words[2].dropFirst("GET.".count), node, reply) { stream, replica in stream.stored(message.payload, replica) }
        case ("STREAM", "CREATE"): create(words[2], message.payload, node, reply)
        case ("DIRECT", "GET"):
            let parts = words[2].split(separator: ".", maxSplits: 1)
            guard parts.count == 2, let stream = stream(parts[0]), let replica = stream.reader(near: node) else { return false }
            hop(node, replica.node) { [weak self] in self?.answer(stream.direct(String(parts[1]), reply, replica), at: replica.node) }
        case ("CONSUMER", "CREATE"): createConsumer(words[2], message.payload, node, reply)
        case ("CONSUMER", "DELETE"):
            let parts = words[2].split(separator: ".")
            guard parts.count == 2, let stream = stream(parts[0]) else { return true }
            stream.consumers.first { $0.name == parts[1] }?.remove()
        default: return false
        }
        return true
    }

    private func send(_ text: String, _ reply: String, at node: Int) {
        answer(NATSMessage(subject: reply, payload: Array(text.utf8)), at: node)
    }

    private static let streamNotFound = #"{"error":{"code":404,"err_code":10059,"description":"stream not found"}}"#
    private static let noLeader =
        #"{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}"#

    /// A server of the cluster that answers for all: one that runs and reaches a majority.
    private func answering(_ node: Int) -> Bool {
        var count = 0
        for other in hosts.indices where isRunning(other) && reaches(node, other) { count += 1 }
        return count * 2 > hosts.count
    }

    /// Every server that takes itself for the stream's leader answers.
    private func askLeader(
        _ name: Substring, _ node: Int, _ reply: String, _ body: @escaping (NATSStream, NATSStream.Replica) -> String
    ) {
        guard let stream = stream(name) else {
            if answering(node) { send(Self.streamNotFound, reply, at: node) }
            return
        }
        let listeners = stream.listeners
        if listeners.isEmpty, traits.tellsOfNoLeader {
            return later(node, .milliseconds(200)) { [weak self] in self?.send(Self.noLeader, reply, at: node) }
        }
        for place in listeners {
            hop(node, place) { [weak self] in
                guard let self, let replica = stream.replica(at: place), replica.believes else { return }
                send(body(stream, replica), reply, at: place)
            }
        }
    }

    /// All streams on one page.
    private func list(_ node: Int, _ reply: String) {
        guard answering(node) else { return }
        var infos: [String] = []
        for stream in streams {
            if let replica = stream.leader.map({ stream.replicas[$0] }) ?? stream.replicas.first {
                infos.append(stream.information(replica))
            }
        }
        let all = infos.joined(separator: ",")
        send(#"{"total":\#(infos.count),"offset":0,"limit":256,"streams":[\#(all)]}"#, reply, at: node)
    }

    private func create(_ name: Substring, _ payload: [UInt8], _ node: Int, _ reply: String) {
        guard answering(node), let request = try? JSONValue.parse(payload), let age = request["max_age"]?.int64Value else { return }
        let name = String(name)
        // The servers agree on a new stream.
        later(node, random.spread(.milliseconds(1)...(.milliseconds(50)))) { [weak self] in
            guard let self else { return }
            if let stream = stream(name[...]) {
                guard stream.maxAge == age else {
                    return send(
                        #"{"error":{"code":400,"err_code":10058,"description":"stream name already in use with a different configuration"}}"#,
                        reply, at: node)
                }
                return askLeader(name[...], node, reply) { stream, replica in stream.information(replica) }
            }
            world.note("a bucket is created that keeps values for @1", age)
            let stream = makeStream(name, maxAge: age)
            if let replica = stream.replicas.first { send(stream.information(replica), reply, at: node) }
        }
    }

    private func createConsumer(_ rest: Substring, _ payload: [UInt8], _ node: Int, _ reply: String) {
        let parts = rest.split(separator: ".", maxSplits: 2)
        guard parts.count == 3, answering(node) else { return }
        guard let stream = stream(parts[0]) else { return send(Self.streamNotFound, reply, at: node) }
        let up = stream.replicas.filter { isRunning($0.node) && reaches(node, $0.node) }
        guard let replica = random.element(up), let request = try? JSONValue.parse(payload), let settings = request["config"],
            let inbox = settings["deliver_subject"]?.stringValue, let heartbeat = settings["idle_heartbeat"]?.int64Value
        else { return }
        let name = String(parts[1])
        let subject = String(parts[2])
        hop(node, replica.node) { [weak self] in
            guard let self else { return }
            let consumer = NATSConsumer(name, subject: subject, inbox: inbox, heartbeat: heartbeat, at: replica.node, of: stream)
            stream.consumers.append(consumer)
            let pending = consumer.pending(replica)
            send(
                #"{"name":"\#(name)","stream_name":"\#(stream.name)","num_pending":\#(pending),"delivered":{"consumer_seq":0,"stream_seq":0}}"#,
                reply, at: replica.node)
            consumer.begin(replica)
        }
    }
}

// Answers about a stream, by the copy of one of its servers.
extension NATSStream {
    /// The part of an answer that is always the same.
    func describe() -> String {
        #"""
        {"config":{"name":"\#(name)","subjects":["\#(prefix)>"],"max_age":\#(maxAge),"max_msgs_per_subject":1,\#
        "num_replicas":\#(replicas.count),"allow_direct":true},"created":"\#(created.rfc3339Nano)",
        """#
    }

    func information(_ replica: Replica) -> String {
        let time = servers.traits.isOld ? "" : #","ts":"\#(servers.wall(replica.node).rfc3339Nano)""#
        return #"""
            \#(configuration)"state":{"messages":\#(replica.messages.count),"first_seq":0,"last_seq":\#(replica.lastSequence),"consumer_count":0}\#(time)}
            """#
    }

    /// STREAM.MSG.GET of the last message under a subject.
    func stored(_ request: [UInt8], _ replica: Replica) -> String {
        guard let subject = (try? JSONValue.parse(request))?["last_by_subj"]?.stringValue, let message = replica.last(subject) else {
            return #"{"error":{"code":404,"err_code":10037,"description":"no message found"}}"#
        }
        var headers = ""
        if !message.headers.isEmpty {
            let lines = message.headers.map { "\($0.name): \($0.value)\r\n" }.joined()
            headers = #","hdrs":"\#(Base64.encode(Array("NATS/1.0\r\n\(lines)\r\n".utf8)))""#
        }
        return #"""
            {"message":{"subject":"\#(subject)","seq":\#(message.sequence)\#(headers),"data":"\#(Base64.encode(message.payload))",\#
            "time":"\#(message.stored.rfc3339Nano)"}}
            """#
    }

    func direct(_ subject: String, _ reply: String, _ replica: Replica) -> NATSMessage {
        guard let message = replica.last(subject) else {
            return NATSMessage(subject: reply, headers: NATSHeaders(status: 404, statusText: "Message Not Found"))
        }
        let added: [NATSHeaders.Field] = [
            .init("Nats-Stream", name), .init("Nats-Subject", subject), .init("Nats-Sequence", String(message.sequence)),
            .init("Nats-Time-Stamp", message.stored.rfc3339Nano),
        ]
        return NATSMessage(subject: reply, headers: NATSHeaders(message.headers + added), payload: message.payload)
    }
}
