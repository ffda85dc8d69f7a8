namespace rankscope {}
