/** What a lib-jitsi-meet conference has received so far, from WebRTC's own counters. */

/** @returns {Promise<{framesDecoded: number, audioPackets: number, audioEnergy: number, bytes: number}>} */
export async function readMediaStats(conference) {
  const sum = { framesDecoded: 0, audioPackets: 0, audioEnergy: 0, bytes: 0 };
  const session = conference?.p2pJingleSession ?? conference?.jvbJingleSession;
  const peer = session?.peerconnection?.peerconnection;
  if (!peer || peer.connectionState === 'closed') {
    return sum;
  }
  for (const report of (await peer.getStats()).values()) {
    if (report.type === 'inbound-rtp') {
      sum.bytes += report.bytesReceived ?? 0;
      sum.framesDecoded += report.framesDecoded ?? 0;
      sum.audioEnergy += report.totalAudioEnergy ?? 0;
      sum.audioPackets += report.kind === 'audio' ? report.packetsReceived : 0;
    }
  }
  return sum;
}
