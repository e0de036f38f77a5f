#!/usr/bin/env python3
"""Publishes a test picture (VP8) and a test tone (Opus) by WHIP (RFC 9725) with GStreamer's webrtcbin.

Usage: gstreamer.py URL CERTIFICATE, with the token on standard input. Says `connected` once media can flow; goes politely
(DELETE) when its standard input ends.

Debian's GStreamer has no element for WHIP, but one POST and one DELETE are all that is missing. The certificate is a PEM file,
with its ECDSA key: webrtcbin makes itself an RSA one, which the service's DTLS does not take.
"""

import hashlib
import re
import ssl
import sys
import threading
import urllib.request
from urllib.parse import urljoin

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

PIPELINE = """
webrtcbin name=whip bundle-policy=max-bundle
videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=180,framerate=15/1
  ! vp8enc deadline=1 cpu-used=8 target-bitrate=300000 keyframe-max-dist=60 ! rtpvp8pay picture-id-mode=15-bit
  ! application/x-rtp,media=video,encoding-name=VP8,payload=96 ! whip.
audiotestsrc is-live=true wave=ticks ! audioconvert ! audioresample ! opusenc ! rtpopuspay
  ! application/x-rtp,media=audio,encoding-name=OPUS,payload=97 ! whip.
"""


class Publisher:
    def __init__(self, url, certificate, token):
        self.url, self.certificate, self.token = url, certificate, token
        self.resource = None
        self.pipeline = Gst.parse_launch(PIPELINE)
        self.whip = self.pipeline.get_by_name("whip")
        self.whip.connect("deep-element-added", self.on_element)
        self.whip.connect("on-negotiation-needed", self.on_negotiation_needed)
        self.whip.connect("notify::connection-state", self.on_state)

    def play(self):
        self.pipeline.set_state(Gst.State.PLAYING)

    def on_element(self, _bin, _parent, element):
        factory = element.get_factory()
        if factory and factory.get_name() == "dtlssrtpdec":
            element.set_property("pem", self.certificate)

    def on_negotiation_needed(self, _whip):
        self.whip.emit("create-offer", None, Gst.Promise.new_with_change_func(self.on_offer))

    def on_offer(self, promise):
        # The offer is freed with the reply it came in.
        reply = promise.get_reply()
        offer = reply.get_value("offer")
        self.whip.emit("set-local-description", offer, Gst.Promise.new())
        # Requests block, and this is a thread of GStreamer's.
        threading.Thread(target=self.negotiate, args=(self.with_fingerprint(offer.sdp.as_text()),), daemon=True).start()

    def with_fingerprint(self, offer):
        """webrtcbin 1.22 takes the sum of all that is in a PEM file, the key included."""
        public = self.certificate[: self.certificate.index("-----BEGIN PRIVATE")]
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(public)).hexdigest().upper()
        pairs = ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
        return re.sub("a=fingerprint:.*", f"a=fingerprint:sha-256 {pairs}", offer)

    def negotiate(self, offer):
        with self.ask(self.url, "POST", offer.encode()) as response:
            self.resource = urljoin(self.url, response.headers["location"])
            answer = response.read()
        _, sdp = GstSdp.SDPMessage.new()
        GstSdp.sdp_message_parse_buffer(answer, sdp)
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        self.whip.emit("set-remote-description", description, Gst.Promise.new())

    def on_state(self, whip, _property):
        print(whip.get_property("connection-state").value_nick, flush=True)

    def leave(self):
        if self.resource:
            self.ask(self.resource, "DELETE").close()
        self.pipeline.set_state(Gst.State.NULL)

    def ask(self, url, method, body=None):
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/sdp"}
        return urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=10)


def main():
    url, certificate = sys.argv[1:]
    Gst.init(None)
    with open(certificate, encoding="ascii") as file:
        publisher = Publisher(url, file.read(), sys.stdin.readline().strip())
    loop = GLib.MainLoop()

    def until_input_ends():
        sys.stdin.read()
        loop.quit()

    publisher.play()
    threading.Thread(target=until_input_ends, daemon=True).start()
    loop.run()
    publisher.leave()


main()
