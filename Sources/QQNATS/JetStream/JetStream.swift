import QQCore

/// Sends requests to JetStream.
struct JetStream: Sendable {
    let client: any NATSCalling
    let api: JetStreamAPI

    // MARK: Streams

    /// - Returns: nil if the stream does not exist.
    func stream(_ name: String, timeout: Duration) async throws(JetStreamFailure) -> StreamInfo? {
        do throws(JetStreamFailure) {
            return try StreamInfo(await ask(api.streamInfo(name), isRepeatable: true, timeout: timeout))
        } catch {
            if error.refusal?.isStreamNotFound == true { return nil }
            throw error
        }
    }

    /// Creates a stream, unless one with this configuration exists already.
    func create(_ configuration: StreamConfiguration, timeout: Duration) async throws(JetStreamFailure) -> StreamInfo {
        // Repeating the request finds the stream that the first one created.
        let answer = try await ask(api.streamCreate(configuration.name), configuration.creation, isRepeatable: true, timeout: timeout)
        return try StreamInfo(answer)
    }

    /// Limits the memory that a server can make this process use. A server lists 256 streams a page.
    private static let mostPages = 1000

    /// Every bucket of the account, page by page.
    func buckets(timeout: Duration) async throws(JetStreamFailure) -> [(bucket: String, stream: StreamInfo)] {
        var found: [(bucket: String, stream: StreamInfo)] = []
        var offset: Int? = 0
        var pages = 0
        while let start = offset {
            pages += 1
            guard pages <= Self.mostPages else { throw .malformed("JetStream's list of streams does not end") }
            let answer = try await ask(api.streamList, JetStreamRequest.streams(offset: start), isRepeatable: true, timeout: timeout)
            let page = try StreamPage<StreamInfo>(infos: answer)
            found += page.buckets
            offset = page.nextOffset
        }
        return found
    }

    // MARK: Keys

    /// The newest entry of a key, which can be a tombstone; nil if there is none.
    /// - Parameter direct: whether any server of the stream is allowed to answer, even one that lags behind. Otherwise only the stream leader answers.
    func entry(bucket: String, key: String, direct: Bool, timeout: Duration) async throws(JetStreamFailure) -> KeyValueEntry? {
        let stream = JetStreamAPI.stream(ofBucket: bucket)
        let subject = JetStreamAPI.keySubject(bucket: bucket, key: key)
        if direct {
            let answer = try await ask(api.directGet(stream, subject: subject), isRepeatable: true, isLocal: true, timeout: timeout)
            do throws(JetStreamFailure) { return try KeyValueEntry.direct(answer, bucket: bucket) } catch {
                // Servers store whatever headers a writer sends, and a direct answer mixes them with its own. The stream leader's answer keeps them apart.
                guard case .failed(let failure) = error, failure.kind == .malformed else { throw error }
            }
        }
        let answer = try await ask(
            api.messageGet(stream), JetStreamRequest.lastMessage(under: subject), isRepeatable: true, timeout: timeout)
        return try KeyValueEntry.stored(answer, bucket: bucket)
    }

    /// - Throws: with `isUncertain` if the write was sent and no answer came.
    func write(bucket: String, _ write: KeyValueWrite, timeout: Duration) async throws(JetStreamFailure) -> PublishAcknowledgement {
        let subject = api.keyWrite(bucket: bucket, key: write.key)
        return try PublishAcknowledgement(await ask(subject, write.value, headers: write.headers, isRepeatable: false, timeout: timeout))
    }

    func ask(
        _ subject: String, _ payload: [UInt8] = [], headers: NATSHeaders = NATSHeaders(), isRepeatable: Bool, isLocal: Bool = false,
        timeout: Duration
    ) async throws(JetStreamFailure) -> NATSMessage {
        do throws(NATSError) {
            return try await client.request(
                subject, headers: headers, payload: payload, isRepeatable: isRepeatable, isLocal: isLocal, timeout: timeout)
        } catch { throw .failed(error) }
    }
}
