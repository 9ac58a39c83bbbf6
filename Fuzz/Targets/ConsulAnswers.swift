import QQCore
import QQHTTP

@testable import QQConsul

/// Any answers of Consul's agents: they become the states and terms of elections. The kind is in upper case for keys without the flags of `consul lock`, and a
/// digit for a slot of a semaphore.
func fuzzConsulAnswer(_ data: [UInt8]) {
    guard let kind = data.first, let server = try? ServerURL.parse("consul://h1,h2/qq", as: [.consul]) else { return }
    let isLock = kind & 0x20 != 0
    let ofSlot: [UInt8: Character] = [49: "a", 50: "s", 51: "d"]
    let (clock, executor) = (HastyClock(), InlineExecutor())
    let coordinator = ConsulCoordinator(
        server: server, api: PlayedConsul(Array(data.dropFirst())), naming: KeyNaming(prefix: "qq", ending: isLock ? nil : "leader"),
        settings: .init(requestTimeout: .seconds(5), killAfter: .seconds(5)), clock: clock, executor: executor)
    let slotKind = ofSlot[kind]?.asciiValue
    play(slotKind ?? kind | 0x20, of: slotKind == nil ? "web" : "web-slot-1-of-2", coordinator, ttl: .seconds(15), clock, executor)
}

/// Agents whose answers are given: the status and the index, and the body after the end of the line. An answer without a status is none. `%0` stands for the
/// name of the latest session, and `%1` for the latest one that was named in a request.
private final class PlayedConsul: ConsulCalling {
    private let playback: Playback
    let endpoints = ["h1:8500", "h2:8500"]

    init(_ bytes: [UInt8]) { playback = Playback(bytes) }

    func prepare() {}

    func close() async {}

    func call(_ request: ConsulRequest, until deadline: BootInstant) async throws(ConsulFailure) -> ConsulAnswer {
        try await call(request, at: 0, until: deadline)
    }

    func call(_ request: ConsulRequest, at endpoint: Int, until deadline: BootInstant) async throws(ConsulFailure) -> ConsulAnswer {
        if let name = request.body?["Name"]?.stringValue { playback.note(0, name) }
        for operation in request.body?.arrayValue ?? [] {
            if let session = operation["KV"]?["Session"]?.stringValue { playback.note(1, session) }
        }
        _ = (request.target, request.body.map { JSONWriter.bytes($0) })
        let place = endpoints[endpoint]
        guard let part = playback.next() else { throw ConsulFailure(.unavailable, "no answer is left", at: place) }
        let head = part.prefix { $0 != 10 }
        let words = String(decoding: head, as: UTF8.self).split(separator: " ")
        guard let status = words.first.flatMap({ Int($0) }), (100...999).contains(status) else {
            throw ConsulFailure(.uncertain, "no answer in time", at: place)
        }
        let fields = words.dropFirst().first.map { [HTTPRequest.Field("x-consul-index", String($0))] } ?? []
        let answer = ConsulAnswer(
            HTTPAnswer(status: status, fields: fields, body: Array(part.dropFirst(head.count + 1))), from: place)
        if let failure = ConsulFailure(answer) { throw failure }
        return answer
    }
}
