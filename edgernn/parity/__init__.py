"""Parity: does an exported file compute what the reference computes, over a long chained run?"""
